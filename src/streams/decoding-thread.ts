/**
 * The decoding thread. It reads an lz4 stream and decodes blocks that the comparing thread has not started to decode.
 */
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { fillBlocks } from './lz4/block-filler.ts';
import { BlockRing, type BlockRingMemory } from './lz4/block-ring.ts';

export interface DecodingOrder {
  /** Descriptor of the pipe with the stored stream. The caller closes it. */
  descriptor: number;
  ring: BlockRingMemory;
}

const { descriptor, ring } = workerData as DecodingOrder;
const readSome = (target: Buffer): number => readSync(descriptor, target, 0, target.length, null);
parentPort?.postMessage(fillBlocks(new BlockRing(ring), readSome));
