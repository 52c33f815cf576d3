/** A line for each member of a tar, with the hash of its data. */
import type { ByteStream } from '../archive/byte-stream.ts';
import { encodeIndexed, indexed } from '../archive/file-index.ts';
import { dataLength, hashData } from '../archive/member-data.ts';
import { readMembers } from '../archive/tar-reader.ts';

const BLOCK = 512;

export interface TarTotals {
  members: number;
  /** Data of files, holes left out. */
  contentBytes: number;
}

/**
 * @param onLine told of each member.
 * @throws TarError
 */
export function indexTar(stream: ByteStream, onLine: (line: string) => void): TarTotals {
  let members = 0;
  let contentBytes = 0;
  let from = 0;
  for (const member of readMembers(stream)) {
    const sha256 = member.type === 'file' ? hashData(dataLength(member), stream) : null;
    const to = Math.ceil(stream.position / BLOCK) * BLOCK;
    onLine(encodeIndexed(indexed(member, sha256, { from, to })));
    from = to;
    members++;
    if (member.type === 'file') contentBytes += dataLength(member);
  }
  return { members, contentBytes };
}
