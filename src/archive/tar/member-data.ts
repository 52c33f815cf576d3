/**
 * Reads the data of a tar member from the stream. A stream that ends too early is detected by the reader of the
 * members.
 */
import { createHash, hash as hashOf } from 'node:crypto';
import type { ByteStream } from '../byte-stream.ts';
import type { DataSegment } from './tar-member.ts';

type OnBytes = (bytes: Buffer) => void;

const CHUNK_BYTES = 1024 * 1024;

/** Bytes of the member in the stream, without holes. */
export const dataLength = ({ segments }: { segments: readonly DataSegment[] }): number =>
  segments.reduce((sum, { length }) => sum + length, 0);

/**
 * Hashes the positions of the data, in the format of the map in a tar: the number of segments, then the offset and the
 * length of each, one number per line.
 */
export function hashMap(segments: readonly DataSegment[]): string {
  const hash = createHash('sha256').update(`${segments.length}\n`);
  for (const { offset, length } of segments) hash.update(`${offset}\n${length}\n`);
  return hash.digest('hex');
}

/** @param onBytes must use the bytes before it returns. */
export function takeData(length: number, stream: ByteStream, onBytes: OnBytes): void {
  for (let rest = length; rest > 0; ) {
    const some = stream.some(Math.min(rest, CHUNK_BYTES));
    if (some.length === 0) return;
    onBytes(some);
    rest -= some.length;
  }
}

/** @returns SHA-256 in hexadecimal, as in the index. */
export function hashData(length: number, stream: ByteStream, onBytes: OnBytes = () => {}): string {
  const first = stream.some(Math.min(length, CHUNK_BYTES));
  onBytes(first);
  // Most files are small and arrive in one buffer.
  if (first.length === length) return hashOf('sha256', first, 'hex');
  const hash = createHash('sha256').update(first);
  takeData(length - first.length, stream, (some) => {
    onBytes(some);
    hash.update(some);
  });
  return hash.digest('hex');
}
