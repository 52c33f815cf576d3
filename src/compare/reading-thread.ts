/** The thread that reads the plain stream, hashes it, and passes it on to the thread that compares. */
import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { type RingMemory, RingWriter } from './shared-ring.ts';

export interface ReadingOrder {
  /** Of the pipe with the plain stream; stays the caller's. */
  descriptor: number;
  ring: RingMemory;
}

/** @returns the SHA-256 of the stream, in base 16. */
function readAll({ descriptor, ring }: ReadingOrder): string {
  const hash = createHash('sha256');
  const writer = new RingWriter(ring);
  const readSome = (target: Buffer): number => readSync(descriptor, target, 0, target.length, null);
  for (;;) {
    const bytes = writer.pass(readSome);
    if (bytes.length === 0) return hash.digest('hex');
    hash.update(bytes);
  }
}

parentPort?.postMessage(readAll(workerData as ReadingOrder));
