/**
 * Reads the members of a tar stream: ustar, pax, and the extensions of GNU tar.
 *
 * A tar is untrusted input: every header is checked, lengths are limited, and nothing is written. Sources: POSIX.1-2017
 * "pax Interchange Format"; "Basic Tar Format" of the GNU tar manual.
 */
import type { ByteStream } from '../byte-stream.ts';
import {
  type ExtendedHeaders,
  headersAfter,
  type Records,
  readExtendedHeader,
  takePadded,
} from './extended-headers.ts';
import { readSegments } from './sparse-map.ts';
import { paddingOf, readNumber, TAR_BLOCK, upToZero } from './tar-fields.ts';
import { type MemberType, RIGHTS, TarError, type TarMember, XATTR } from './tar-member.ts';

const TYPES: Record<string, MemberType> = {
  '0': 'file',
  '\0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
};

/**
 * Yields the members in order. The caller must read exactly the bytes of the segments before it continues. Padding is
 * skipped here.
 * @throws TarError
 */
export function* readMembers(stream: ByteStream): Generator<TarMember> {
  let extended = headersAfter({ global: new Map(), globalBytes: 0 });
  for (;;) {
    const header = stream.take(TAR_BLOCK);
    if (header.length < TAR_BLOCK) throw new TarError('the tar ends without an end mark');
    if (isZero(header)) return expectEnd(stream);
    checkHeader(header);
    const size = readNumber(header, 124, 12);
    const flag = String.fromCharCode(header[156] ?? 0);
    if ('xgLK'.includes(flag)) {
      readExtendedHeader(flag, takePadded(stream, size), extended);
      continue;
    }
    const member = memberOf(Buffer.from(header), flag, extended);
    const content = member.type === 'file' ? Number(extended.own.get('size')?.toString() ?? size) : 0;
    const mapBytes = readSegments(member, extended, content, stream);
    const end = stream.position + content - mapBytes;
    yield member;
    if (stream.position !== end) throw unread(stream, end);
    stream.skip(paddingOf(end));
    extended = headersAfter(extended);
  }
}

function unread(stream: ByteStream, end: number): Error {
  if (stream.some(1).length === 0) return new TarError('the tar ends within a file');
  return new Error(`${end - stream.position} bytes of a member were not read`);
}

const ZEROS = Buffer.alloc(TAR_BLOCK);

/** @param bytes at most one block. */
const isZero = (bytes: Buffer): boolean => bytes[0] === 0 && bytes.equals(ZEROS.subarray(0, bytes.length));

/** Requires that only zeros follow up to the end of the stream, because tools ignore members after the end mark. */
function expectEnd(stream: ByteStream): void {
  for (let block = stream.take(TAR_BLOCK); block.length > 0; block = stream.take(TAR_BLOCK)) {
    if (!isZero(block)) throw new TarError('there is data after the end mark of the tar');
  }
}

function checkHeader(header: Buffer): void {
  let sum = 0;
  for (let at = 0; at < TAR_BLOCK; at++) sum += header[at] ?? 0;
  // In the checksum, its own field counts as spaces.
  for (let at = 148; at < 156; at++) sum += 32 - (header[at] ?? 0);
  if (sum !== readNumber(header, 148, 8)) throw new TarError('a header of the tar is damaged');
}

function memberOf(header: Buffer, flag: string, extended: ExtendedHeaders): TarMember {
  const type = TYPES[flag];
  if (!type) throw new TarError(`a member has the unknown type ${JSON.stringify(flag)}`);
  const record = (name: string): Buffer | undefined => extended.own.get(name) ?? extended.global.get(name);
  const number = (name: string, at: number, length: number): number => {
    const value = record(name);
    return value === undefined ? readNumber(header, at, length) : Number(value.toString());
  };
  const mtime = record('mtime')?.toString() ?? null;
  return {
    path: record('GNU.sparse.name') ?? record('path') ?? extended.longName ?? ustarName(header),
    type,
    size: 0n,
    mode: readNumber(header, 100, 8) & 0o7777,
    uid: number('uid', 108, 8),
    gid: number('gid', 116, 8),
    mtime: mtime === null ? BigInt(readNumber(header, 136, 12)) * 1_000_000_000n : nanoseconds(mtime),
    hasFraction: mtime !== null,
    target: record('linkpath') ?? extended.longTarget ?? upToZero(header.subarray(157, 257)),
    device: { major: readNumber(header, 329, 8), minor: readNumber(header, 337, 8) },
    xattrs: new Map(
      [...extended.own].flatMap(([name, value]) => (name.startsWith(XATTR) ? [[name.slice(XATTR.length), value]] : [])),
    ),
    rights: rightsIn(extended.own),
    isSparse: false,
    segments: [],
  };
}

function rightsIn(own: Records): TarMember['rights'] {
  const found = Object.entries(RIGHTS).flatMap(([right, name]) => {
    const value = own.get(name)?.toString('utf8').replace(/\0$/, '');
    return value === undefined ? [] : [[right, value]];
  });
  return Object.fromEntries(found) as TarMember['rights'];
}

/** The prefix field belongs to the POSIX format. GNU's own format uses it differently. */
function ustarName(header: Buffer): Buffer {
  const name = upToZero(header.subarray(0, 100));
  const prefix = upToZero(header.subarray(345, 500));
  const isPosix = header.subarray(257, 263).equals(Buffer.from('ustar\0'));
  return isPosix && prefix.length > 0 ? Buffer.concat([prefix, Buffer.from('/'), name]) : name;
}

/** `-1.5` is one and a half seconds before the epoch. */
function nanoseconds(text: string): bigint {
  const found = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (!found) throw new TarError(`a time of the tar is damaged: ${JSON.stringify(text)}`);
  const [, sign, whole = '0', fraction = ''] = found;
  const value = BigInt(whole) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -value : value;
}
