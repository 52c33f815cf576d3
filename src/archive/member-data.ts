/** The data of a member of a tar, taken from the stream. Its end within a file is noticed by whoever reads the members. */
import { createHash, hash as hashOf } from 'node:crypto';
import type { ByteStream } from './byte-stream.ts';
import type { Segment } from './tar-reader.ts';

type OnBytes = (bytes: Buffer) => void;

const CHUNK_BYTES = 1024 * 1024;

/** In the stream: holes are not counted. */
export const dataLength = ({ segments }: { segments: readonly Segment[] }): number =>
  segments.reduce((sum, { length }) => sum + length, 0);

/** Of where data belong, as the map in the tar has it: how many segments, offset and length of each, a line each. */
export function hashMap(segments: readonly Segment[]): string {
  const hash = createHash('sha256').update(`${segments.length}\n`);
  for (const { offset, length } of segments) hash.update(`${offset}\n${length}\n`);
  return hash.digest('hex');
}

/** @param onBytes told of what must be used at once. */
export function takeData(length: number, stream: ByteStream, onBytes: OnBytes): void {
  for (let rest = length; rest > 0; ) {
    const some = stream.some(Math.min(rest, CHUNK_BYTES));
    if (some.length === 0) return;
    onBytes(some);
    rest -= some.length;
  }
}

/** @returns SHA-256 in base 16, as the index has it. */
export function hashData(length: number, stream: ByteStream, onBytes: OnBytes = () => {}): string {
  const first = stream.some(Math.min(length, CHUNK_BYTES));
  onBytes(first);
  // Most files are small, and come as one buffer.
  if (first.length === length) return hashOf('sha256', first, 'hex');
  const hash = createHash('sha256').update(first);
  takeData(length - first.length, stream, (some) => {
    onBytes(some);
    hash.update(some);
  });
  return hash.digest('hex');
}
