/** The data of a member of a tar, taken from the stream. Its end within a file is noticed by whoever reads the members. */
import { createHash, hash as hashOf } from 'node:crypto';
import type { ByteStream } from './byte-stream.ts';
import type { TarMember } from './tar-reader.ts';

type Data = Pick<TarMember, 'segments'>;

const AT_ONCE = 1024 * 1024;

export const dataLength = ({ segments }: Data): number => segments.reduce((sum, { length }) => sum + length, 0);

/** @param onBytes told of what must be used at once. */
export function takeData(member: Data, stream: ByteStream, onBytes: (bytes: Buffer) => void): void {
  for (let rest = dataLength(member); rest > 0; ) {
    const some = stream.some(Math.min(rest, AT_ONCE));
    if (some.length === 0) return;
    onBytes(some);
    rest -= some.length;
  }
}

/** @returns SHA-256 in base 16, as the index has it. */
export function hashData(member: Data, stream: ByteStream, onBytes: (bytes: Buffer) => void = () => {}): string {
  const bytes = dataLength(member);
  const first = stream.some(Math.min(bytes, AT_ONCE));
  if (first.length > 0) onBytes(first);
  // Most files are small, and come as one buffer.
  if (first.length === bytes) return hashOf('sha256', first, 'hex');
  const hash = createHash('sha256').update(first);
  takeData({ segments: [{ offset: first.length, length: bytes - first.length }] }, stream, (some) => {
    onBytes(some);
    hash.update(some);
  });
  return hash.digest('hex');
}
