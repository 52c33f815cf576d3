/** A line for each member of a tar, with the hash of its data. */
import { createHash } from 'node:crypto';
import type { ByteStream } from '../archive/byte-stream.ts';
import { encodeIndexed } from '../archive/file-index.ts';
import { readMembers, type TarMember } from '../archive/tar-reader.ts';

const AT_ONCE = 1024 * 1024;
const BLOCK = 512;

/**
 * @param onLine told of each member.
 * @returns how many members there are.
 * @throws TarError
 */
export function indexTar(stream: ByteStream, onLine: (line: string) => void): number {
  let members = 0;
  let from = 0;
  for (const member of readMembers(stream)) {
    const sha256 = member.type === 'file' ? hashOf(member, stream) : null;
    const to = Math.ceil(stream.position / BLOCK) * BLOCK;
    onLine(encodeIndexed({ ...member, sha256, span: { from, to } }));
    from = to;
    members++;
  }
  return members;
}

function hashOf({ segments }: TarMember, stream: ByteStream): string {
  const hash = createHash('sha256');
  let rest = segments.reduce((sum, { length }) => sum + length, 0);
  while (rest > 0) {
    const bytes = stream.some(Math.min(rest, AT_ONCE));
    // The end within a file is noticed by whoever reads the members.
    if (bytes.length === 0) break;
    hash.update(bytes);
    rest -= bytes.length;
  }
  return hash.digest('hex');
}
