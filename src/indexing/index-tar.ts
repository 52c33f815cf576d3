/** A line for each member of a tar, with the hash of its data. */
import type { ByteStream } from '../archive/byte-stream.ts';
import { encodeIndexed, indexed } from '../archive/file-index.ts';
import { dataLength, hashData } from '../archive/member-data.ts';
import { readMembers } from '../archive/tar-reader.ts';

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
    const sha256 = member.type === 'file' ? hashData(dataLength(member), stream) : null;
    const to = Math.ceil(stream.position / BLOCK) * BLOCK;
    onLine(encodeIndexed(indexed(member, sha256, { from, to })));
    from = to;
    members++;
  }
  return members;
}
