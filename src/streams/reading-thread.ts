/** The thread that reads: so that whoever decompresses is never kept waiting for long, it does nothing else. */
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { type RingMemory, RingWriter } from '../lib/bytes/shared-ring.ts';

export interface ReadingOrder {
  /** Of the pipe with the plain stream; stays the caller's. */
  descriptor: number;
  ring: RingMemory;
}

/** @returns how many bytes there were. */
function readAll({ descriptor, ring }: ReadingOrder): number {
  const writer = new RingWriter(ring);
  const readSome = (target: Buffer): number => readSync(descriptor, target, 0, target.length, null);
  for (let total = 0; ; ) {
    const { length } = writer.pass(readSome);
    if (length === 0) return total;
    total += length;
  }
}

parentPort?.postMessage(readAll(workerData as ReadingOrder));
