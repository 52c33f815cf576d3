/** Reads a file into the parts of an upload. */
import { type FileHandle, open } from 'node:fs/promises';
import { BufferPool } from './buffer-pool.ts';
import { partSize } from './part-plan.ts';
import type { Part, PartReaderOptions } from './part-reader.ts';

/** @throws the reason of the signal; an error of the file system. */
export async function* readFileParts(
  path: string,
  { expectedBytes, held, signal }: PartReaderOptions,
): AsyncGenerator<Part> {
  await using file = await open(path, 'r');
  const pool = new BufferPool(held);
  for (let number = 1, isEnded = false; !isEnded; number++) {
    const buffer = await pool.take(partSize(number, expectedBytes), signal);
    const length = await fill(buffer, file, signal);
    isEnded = length < buffer.length;
    if (length > 0) yield { number, bytes: buffer.subarray(0, length), release: () => pool.release(buffer) };
  }
}

/** @returns the number of bytes read. It is less than the length of the buffer only at the end of the file. */
async function fill(buffer: Buffer, file: FileHandle, signal: AbortSignal): Promise<number> {
  for (let filled = 0; filled < buffer.length; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled);
    if (bytesRead === 0) return filled;
    filled += bytesRead;
  }
  return buffer.length;
}
