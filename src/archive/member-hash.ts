/** The hash of a member's data, as the index has it. */
import { createHash, hash as hashOf } from 'node:crypto';
import type { ByteStream } from './byte-stream.ts';
import type { TarMember } from './tar-reader.ts';

const AT_ONCE = 1024 * 1024;

export const dataLength = ({ segments }: TarMember): number => segments.reduce((sum, { length }) => sum + length, 0);

/**
 * Takes the data of a member from the stream.
 * @returns SHA-256 in base 16. The end within a file is noticed by whoever reads the members.
 */
export function hashMember(member: TarMember, stream: ByteStream): string {
  const bytes = dataLength(member);
  const first = stream.some(Math.min(bytes, AT_ONCE));
  // Most files are small, and come as one buffer.
  if (first.length === bytes) return hashOf('sha256', first, 'hex');
  const hash = createHash('sha256').update(first);
  for (let rest = bytes - first.length; rest > 0; ) {
    const some = stream.some(Math.min(rest, AT_ONCE));
    if (some.length === 0) break;
    hash.update(some);
    rest -= some.length;
  }
  return hash.digest('hex');
}
