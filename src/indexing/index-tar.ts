/** A line for each member of a tar, with the hash of its data. */
import type { ByteStream } from '../archive/byte-stream.ts';
import { encodeIndexed, indexed } from '../archive/file-index.ts';
import { MAX_REACHED } from '../archive/long-paths.ts';
import { dataLength, hashData } from '../archive/member-data.ts';
import { readMembers } from '../archive/tar-reader.ts';
import { printable } from '../lib/printable.ts';

const BLOCK = 512;

export interface TarTotals {
  members: number;
  /** Data of files, holes left out. */
  contentBytes: number;
  /** Why a member cannot be made on Linux; `null` where all can. */
  unmakeable: string | null;
}

/** Bytes of a name. Source: linux/limits.h. */
const NAME_MAX = 255;

const SLASH = 0x2f;

/** NTFS, FAT and exFAT have names of 255 UTF-16 units, in UTF-8 up to 765 bytes. */
export function tooLong(path: Buffer): string | null {
  if (path.length > MAX_REACHED)
    return `${printable(path.toString('utf8').slice(0, 60))}... has a path of ${path.length} bytes, and restores reach ${MAX_REACHED}`;
  for (let from = 0; path.length - from > NAME_MAX; ) {
    const slash = path.indexOf(SLASH, from);
    const bytes = (slash < 0 ? path.length : slash) - from;
    if (bytes > NAME_MAX)
      return `${printable(path.toString('utf8').slice(0, 60))}... has a name of ${bytes} bytes, and nobody could make it anew: Linux takes ${NAME_MAX}`;
    from = slash + 1;
  }
  return null;
}

/**
 * @param onLine told of each member.
 * @throws TarError
 */
export function indexTar(stream: ByteStream, onLine: (line: string) => void): TarTotals {
  let members = 0;
  let contentBytes = 0;
  let unmakeable: string | null = null;
  let from = 0;
  for (const member of readMembers(stream)) {
    const sha256 = member.type === 'file' ? hashData(dataLength(member), stream) : null;
    const to = Math.ceil(stream.position / BLOCK) * BLOCK;
    onLine(encodeIndexed(indexed(member, sha256, { from, to })));
    from = to;
    members++;
    unmakeable ??= tooLong(member.path);
    if (member.type === 'file') contentBytes += dataLength(member);
  }
  return { members, contentBytes, unmakeable };
}
