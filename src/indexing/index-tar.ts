/** A line for each member of a tar, with the hash of its data. */
import { createHash } from 'node:crypto';
import type { ByteStream } from '../archive/byte-stream.ts';
import { encodeIndexed, type IndexedMember } from '../archive/file-index.ts';
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
    const data = member.type === 'file' ? dataOf(member, stream) : null;
    const to = Math.ceil(stream.position / BLOCK) * BLOCK;
    onLine(encodeIndexed({ ...member, data, span: { from, to } }));
    from = to;
    members++;
  }
  return members;
}

function dataOf({ segments }: TarMember, stream: ByteStream): IndexedMember['data'] {
  const hash = createHash('sha256');
  const bytes = segments.reduce((sum, { length }) => sum + length, 0);
  for (let rest = bytes; rest > 0; ) {
    const some = stream.some(Math.min(rest, AT_ONCE));
    // The end within a file is noticed by whoever reads the members.
    if (some.length === 0) break;
    hash.update(some);
    rest -= some.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}
