/**
 * Reads the members of a tar stream: ustar, pax, and the extensions of GNU tar.
 *
 * A tar is untrusted input: every header is checked, lengths are limited, and nothing is written. Sources: POSIX.1-2017
 * "pax Interchange Format"; "Basic Tar Format" and "Storing Sparse Files" of the GNU tar manual.
 */
import { textOfBytes } from '../../lib/byte-text.ts';
import type { ByteStream } from '../byte-stream.ts';

export type MemberType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';

/** A segment of data in a sparse file. The bytes between segments are zeros. */
export interface DataSegment {
  /** Position in the file, which may exceed the exact range of numbers. */
  offset: bigint;
  length: number;
}

export interface TarMember {
  /** Names are bytes, which need not be UTF-8. */
  path: Buffer;
  type: MemberType;
  /** Length of the file including holes: up to 2 ** 63 - 1, which exceeds the exact range of numbers. */
  size: bigint;
  mode: number;
  uid: number;
  gid: number;
  /** Nanoseconds since the epoch. */
  mtime: bigint;
  /** Whether `mtime` has fractions of a second. */
  hasFraction: boolean;
  target: Buffer;
  device: { major: number; minor: number };
  xattrs: Map<string, Buffer>;
  /** Access rights besides the mode, in the format of tar: ACLs as text, and the SELinux label. */
  rights: Partial<Record<Right, string>>;
  /** Whether the data of the member starts with a map of its segments. */
  isSparse: boolean;
  /** For regular files, the positions of the bytes that follow. */
  segments: DataSegment[];
}

/** Names of the pax records for access rights. */
export const RIGHTS = {
  accessAcl: 'SCHILY.acl.access',
  defaultAcl: 'SCHILY.acl.default',
  selinux: 'RHT.security.selinux',
} as const;

export type Right = keyof typeof RIGHTS;

/** The stream is not a tar, or it is damaged. */
export class TarError extends Error {}

const BLOCK = 512;

/**
 * Maximum bytes of an extended header: attributes have about 64 KiB per file, but names and maps of holes can be long.
 */
const MAX_EXTENDED_BYTES = 64 * 1024 * 1024;

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

type Records = Map<string, Buffer>;

/** The extended headers before a member. */
interface ExtendedHeaders {
  global: Records;
  own: Records;
  /** GNU's extension for long names. */
  longName: Buffer | null;
  longTarget: Buffer | null;
}

/**
 * Yields the members in order. The caller must read exactly the bytes of the segments before it continues. Padding is
 * skipped here.
 * @throws TarError
 */
export function* readMembers(stream: ByteStream): Generator<TarMember> {
  const global: Records = new Map();
  let extended: ExtendedHeaders = { global, own: new Map(), longName: null, longTarget: null };
  for (;;) {
    const header = stream.take(BLOCK);
    if (header.length < BLOCK) throw new TarError('the tar ends without an end mark');
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
    extended = { global, own: new Map(), longName: null, longTarget: null };
  }
}

function unread(stream: ByteStream, end: number): Error {
  if (stream.some(1).length === 0) return new TarError('the tar ends within a file');
  return new Error(`${end - stream.position} bytes of a member were not read`);
}

const paddingOf = (length: number): number => (BLOCK - (length % BLOCK)) % BLOCK;

const ZEROS = Buffer.alloc(BLOCK);

/** @param bytes at most one block. */
const isZero = (bytes: Buffer): boolean => bytes[0] === 0 && bytes.equals(ZEROS.subarray(0, bytes.length));

/** Requires that only zeros follow up to the end of the stream, because tools ignore members after the end mark. */
function expectEnd(stream: ByteStream): void {
  for (let block = stream.take(BLOCK); block.length > 0; block = stream.take(BLOCK)) {
    if (!isZero(block)) throw new TarError('there is data after the end mark of the tar');
  }
}

function checkHeader(header: Buffer): void {
  let sum = 0;
  for (let at = 0; at < BLOCK; at++) sum += header[at] ?? 0;
  // In the checksum, its own field counts as spaces.
  for (let at = 148; at < 156; at++) sum += 32 - (header[at] ?? 0);
  if (sum !== readNumber(header, 148, 8)) throw new TarError('a header of the tar is damaged');
}

/** Reads octal digits, or GNU's binary form for larger numbers. */
function readNumber(header: Buffer, at: number, length: number): number {
  return readPlainOctal(header, at, length) ?? readAnyNumber(header, at, length);
}

/** Reads the usual form quickly: digits, followed by a zero byte. Returns `null` for any other form. */
function readPlainOctal(header: Buffer, at: number, length: number): number | null {
  let value = 0;
  for (let place = at; place < at + length; place++) {
    const digit = (header[place] ?? 0) - 0x30;
    if (digit === -0x30 && place > at) return value;
    if (digit < 0 || digit > 7) return null;
    value = value * 8 + digit;
  }
  return null;
}

function readAnyNumber(header: Buffer, at: number, length: number): number {
  const field = header.subarray(at, at + length);
  const first = field[0] ?? 0;
  if (first & 0x80) {
    const bits = BigInt.asIntN(length * 8 - 1, BigInt(`0x${field.toString('hex')}`));
    return Number(bits);
  }
  const text = field
    .toString('latin1')
    .replace(/\0[\s\S]*/, '')
    .trim();
  if (!/^[0-7]*$/.test(text)) throw new TarError(`a number of the tar is damaged: ${JSON.stringify(text)}`);
  return text === '' ? 0 : Number.parseInt(text, 8);
}

function takePadded(stream: ByteStream, size: number): Buffer {
  if (size < 0 || size > MAX_EXTENDED_BYTES)
    throw new TarError(`an extended header has an invalid size of ${size} bytes`);
  const bytes = Buffer.from(stream.take(size));
  if (bytes.length < size) throw new TarError('the tar ends within a header');
  stream.skip(paddingOf(size));
  return bytes;
}

function readExtendedHeader(flag: string, bytes: Buffer, extended: ExtendedHeaders): void {
  if (flag === 'L') extended.longName = upToZero(bytes);
  else if (flag === 'K') extended.longTarget = upToZero(bytes);
  else readRecords(bytes, flag === 'g' ? extended.global : extended.own);
}

function upToZero(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** `<length> <name>=<value>\n`, where the length includes itself. */
function readRecords(bytes: Buffer, into: Records): void {
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(0x20, at);
    const digits = bytes.subarray(at, blank).toString('latin1');
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, blank);
    const good = blank > at && /^\d{1,9}$/.test(digits) && end <= bytes.length && equals > blank && equals < end;
    if (!good || bytes[end - 1] !== 0x0a) throw new TarError('an extended header of the tar is damaged');
    into.set(textOfBytes(bytes.subarray(blank + 1, equals)), bytes.subarray(equals + 1, end - 1));
    at = end;
  }
}

export const XATTR = 'SCHILY.xattr.';

/** A name as GNU tar writes it in a record, where `=` ends a name. */
export const xattrNameInTar = (name: string): string => name.replaceAll('%', '%25').replaceAll('=', '%3D');

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

/** Sets size and segments of a member. @returns the bytes of the stream that contained the map */
function readSegments(member: TarMember, { own }: ExtendedHeaders, stored: number, stream: ByteStream): number {
  if (!Number.isSafeInteger(stored) || stored < 0)
    throw new TarError(`a member has an invalid size of ${stored} bytes`);
  const major = own.get('GNU.sparse.major')?.toString();
  if (major === undefined) {
    if ([...own.keys()].some((name) => name.startsWith('GNU.sparse.')))
      throw new TarError('the tar has an old, unsupported sparse format');
    member.size = BigInt(stored);
    member.segments = [{ offset: 0n, length: stored }];
    return 0;
  }
  if (major !== '1') throw new TarError(`the tar has the unsupported sparse format ${major}`);
  const size = fileSize(own.get('GNU.sparse.realsize')?.toString() ?? '');
  const { segments, mapBytes } = readMap(stream, stored);
  checkSegments(segments, size, stored - mapBytes);
  member.size = size;
  member.isSparse = true;
  member.segments = segments;
  return mapBytes;
}

/** The maximum size of a file. */
const MAX_FILE_BYTES = 2n ** 63n - 1n;

function fileSize(text: string): bigint {
  const size = /^\d{1,19}$/.test(text) ? BigInt(text) : null;
  if (size === null || size > MAX_FILE_BYTES)
    throw new TarError(`a file has an invalid size of ${JSON.stringify(text)} bytes`);
  return size;
}

/** Maximum digits of a number in a map of holes. */
const MAX_DIGITS = 19;

/**
 * A map has one decimal number per line, in whole blocks: the number of segments, then the offset and length of each.
 */
function readMap(stream: ByteStream, stored: number): { segments: DataSegment[]; mapBytes: number } {
  const numbers: bigint[] = [];
  let rest = '';
  let mapBytes = 0;
  while (numbers.length === 0 || numbers.length < 1 + 2 * Number(numbers[0] ?? 0)) {
    const isTooLong = mapBytes + BLOCK > Math.min(stored + BLOCK, MAX_EXTENDED_BYTES);
    if (isTooLong || rest.length > MAX_DIGITS) throw new TarError('a map of holes is damaged');
    const lines = (rest + stream.take(BLOCK).toString('latin1')).split('\n');
    mapBytes += BLOCK;
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!/^\d{1,19}$/.test(line)) throw new TarError('a map of holes is damaged');
      numbers.push(BigInt(line));
    }
  }
  const segments = Array.from({ length: Number(numbers[0] ?? 0) }, (_, at) => ({
    offset: numbers[1 + 2 * at] ?? 0n,
    length: Number(numbers[2 + 2 * at] ?? 0),
  }));
  return { segments, mapBytes };
}

function checkSegments(segments: readonly DataSegment[], size: bigint, stored: number): void {
  let end = 0n;
  let total = 0;
  for (const { offset, length } of segments) {
    if (offset < end) throw new TarError('a map of holes is damaged');
    end = offset + BigInt(length);
    total += length;
  }
  if (!(end <= size) || total !== stored) throw new TarError('a map of holes does not match its file');
}
