/** Indexes a tar: one line per member, with the hash of its data. */
import type { ByteStream } from '../archive/byte-stream.ts';
import { encodeIndexed, indexed } from '../archive/file-index.ts';
import { MAX_RESTORABLE_PATH } from '../archive/tar/long-paths.ts';
import { dataLength, hashData } from '../archive/tar/member-data.ts';
import { readMembers } from '../archive/tar/tar-reader.ts';
import { printable } from '../lib/printable.ts';

const BLOCK = 512;

export interface TarTotals {
  members: number;
  /** Bytes of file data without holes. */
  contentBytes: number;
  /** Why a member cannot be created on Linux; `null` if all can. */
  unsupported: string | null;
}

/** Maximum bytes of a name. Source: linux/limits.h. */
const NAME_MAX = 255;

const SLASH = 0x2f;

/**
 * Returns why a path cannot be created on Linux; `null` if it can. Names in NTFS, FAT and exFAT have up to 255 UTF-16
 * units, which are up to 765 bytes in UTF-8.
 */
export function tooLong(path: Buffer): string | null {
  if (path.length > MAX_RESTORABLE_PATH)
    return `${printable(path.toString('utf8').slice(0, 60))}... has a path of ${path.length} bytes, but restores support only ${MAX_RESTORABLE_PATH}`;
  for (let from = 0; path.length - from > NAME_MAX; ) {
    const slash = path.indexOf(SLASH, from);
    const bytes = (slash < 0 ? path.length : slash) - from;
    if (bytes > NAME_MAX)
      return `${printable(path.toString('utf8').slice(0, 60))}... has a name of ${bytes} bytes, but Linux allows only ${NAME_MAX}`;
    from = slash + 1;
  }
  return null;
}

/**
 * @param onLine is called with the index line of each member.
 * @throws TarError
 */
export function indexTar(stream: ByteStream, onLine: (line: string) => void): TarTotals {
  let members = 0;
  let contentBytes = 0;
  let unsupported: string | null = null;
  let from = 0;
  for (const member of readMembers(stream)) {
    const sha256 = member.type === 'file' ? hashData(dataLength(member), stream) : null;
    const to = Math.ceil(stream.position / BLOCK) * BLOCK;
    onLine(encodeIndexed(indexed(member, sha256, { from, to })));
    from = to;
    members++;
    unsupported ??= tooLong(member.path);
    if (member.type === 'file') contentBytes += dataLength(member);
  }
  return { members, contentBytes, unsupported };
}
