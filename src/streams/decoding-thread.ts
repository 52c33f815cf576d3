/** The thread that reads a stream of lz4, and decodes what the thread that compares has not begun to. */
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { fillBlocks } from './lz4/block-filler.ts';
import { BlockRing, type BlockRingMemory } from './lz4/block-ring.ts';

export interface DecodingOrder {
  /** Of the pipe with the stored stream; stays the caller's. */
  descriptor: number;
  ring: BlockRingMemory;
}

const { descriptor, ring } = workerData as DecodingOrder;
const readSome = (target: Buffer): number => readSync(descriptor, target, 0, target.length, null);
parentPort?.postMessage(fillBlocks(new BlockRing(ring), readSome));
