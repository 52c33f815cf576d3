/** The reading thread. It does nothing else, so that the decompressor never waits for long. */
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { type RingMemory, RingWriter } from '../lib/bytes/shared-ring.ts';

export interface ReadingOrder {
  /** Descriptor of the pipe with the plain stream, or of a device. The caller closes it. */
  descriptor: number;
  ring: RingMemory;
}

/** @returns the total number of bytes. */
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
