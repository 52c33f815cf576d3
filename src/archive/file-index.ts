/**
 * The index of a tar: one JSON line per member and per piece, compressed with zstd.
 *
 * The first line identifies the object, and the last one has the totals. An index without a last line is truncated.
 */
import { SnapError } from '../errors.ts';
import { INDEX_FORMAT } from './block-index.ts';
import { dataLength, hashMap } from './tar/member-data.ts';
import type { MemberType, TarMember } from './tar/tar-member.ts';
import { decimalSeconds } from './tar/tar-writer.ts';

export interface FileIndexHeader {
  snapshot: string;
  partition: number | null;
}

/** A member of the tar: the content of its headers and its position. */
export interface IndexedMember extends Omit<TarMember, 'hasFraction' | 'isSparse' | 'segments'> {
  /** `null` unless the member is a file. */
  data: IndexedData | null;
  /** Position of the headers and data in the plain stream, in bytes. The end includes the padding and is exclusive. */
  span: { from: number; to: number };
}

/** The bytes of a file in the tar, without holes. */
export interface IndexedData {
  bytes: number;
  /** SHA-256 of these bytes, in hexadecimal. */
  sha256: string;
  /**
   * For sparse files, the hash of the positions of these bytes, in hexadecimal; `null` for other files and in old
   * indexes.
   */
  mapSha256: string | null;
}

/**
 * A position where decoding can start, or the end of the last piece, in bytes of the plain stream and of the object.
 */
export interface Place {
  plain: number;
  stored: number;
}

/** Totals of the tar. */
export interface FileIndexEnd {
  members: number;
  /** Length of the plain stream. */
  bytes: number;
}

export type IndexLine =
  | { is: 'header'; header: FileIndexHeader }
  | { is: 'member'; member: IndexedMember }
  | { is: 'piece'; place: Place }
  | { is: 'end'; end: FileIndexEnd };

/** Returns the index entry of a member. @param sha256 hash of its data in hexadecimal; `null` unless it is a file */
export function indexed(member: TarMember, sha256: string | null, span: IndexedMember['span']): IndexedMember {
  const mapSha256 = member.isSparse ? hashMap(member.segments) : null;
  const data = sha256 === null ? null : { bytes: dataLength(member), sha256, mapSha256 };
  return { ...member, data, span };
}

/** Whether the positions of the data within the file are known. */
export const isMapKnown = ({ size, data }: IndexedMember): boolean =>
  data === null || BigInt(data.bytes) === size || data.mapSha256 !== null;

export const encodeHeader = ({ snapshot, partition }: FileIndexHeader): string =>
  line({ format: INDEX_FORMAT, layout: 'tar', snapshot, partition });

export const encodePlace = (place: Place): string => line({ piece: place });

export const encodeEnd = (end: FileIndexEnd): string => line({ end });

export function encodeIndexed(member: IndexedMember): string {
  const { path, type, size, mode, uid, gid, mtime, target, device, xattrs, rights, data, span } = member;
  return line({
    ...nameAs('path', path),
    type,
    size: exactNumber(size),
    mode,
    uid,
    gid,
    mtime: decimalSeconds(mtime),
    ...(target.length > 0 ? nameAs('target', target) : {}),
    ...(type === 'character' || type === 'block' ? { device: [device.major, device.minor] } : {}),
    ...(xattrs.size === 0 ? {} : { xattrs: namesAndValues(xattrs) }),
    ...(Object.keys(rights).length === 0 ? {} : { rights }),
    ...(data === null ? {} : { data: data.bytes, sha256: data.sha256 }),
    ...(data?.mapSha256 ? { mapSha256: data.mapSha256 } : {}),
    span: [span.from, span.to],
  });
}

const namesAndValues = (xattrs: TarMember['xattrs']): Record<string, string> =>
  Object.fromEntries([...xattrs].map(([name, value]) => [name, value.toString('base64')]));

/** JSON allows numbers of any length, which JavaScript reads inexactly. The types of Node lack this function. */
const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => object };

const exactNumber = (value: bigint): number | object =>
  value > Number.MAX_SAFE_INTEGER ? rawJSON(String(value)) : Number(value);

const line = (content: object): string => `${JSON.stringify(content)}\n`;

/** Names that are not valid UTF-8 are stored in Base64, in a field with another name. */
function nameAs(field: 'path' | 'target', bytes: Buffer): Record<string, string> {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? { [field]: text } : { [`${field}Base64`]: bytes.toString('base64') };
}

type Fields = Record<string, unknown>;

/**
 * Decodes a line. The index is untrusted input, so every field is checked.
 * @param key key of the index, for the error.
 * @throws SnapError `DIFFERS`
 */
export function decodeIndexLine(text: string, key: string): IndexLine {
  const fields = parse(text);
  if (!fields) throw damagedIndex(key, 'a line is not JSON');
  const { format, piece, end } = fields;
  if (format !== undefined) return { is: 'header', header: headerOf(fields, key) };
  if (isRecord(piece) && isCount(piece['plain']) && isCount(piece['stored']))
    return { is: 'piece', place: { plain: piece['plain'], stored: piece['stored'] } };
  if (isRecord(end) && isCount(end['members']) && isCount(end['bytes']))
    return { is: 'end', end: { members: end['members'], bytes: end['bytes'] } };
  const member = memberOf({ ...fields, size: exactSize(fields['size'], text) });
  if (!member) throw damagedIndex(key, `invalid line: ${text.slice(0, 80)}`);
  return { is: 'member', member };
}

/**
 * The error for an index that is damaged, missing, or of another object. Like a damaged object, it means that the archive
 * is damaged.
 */
export const damagedIndex = (key: string, why: string, cause?: unknown): SnapError =>
  new SnapError('DIFFERS', `${key}: ${why}`, {
    hint: 'the archive is damaged; its data object may be intact: restore --no-index reads all of it',
    ...(cause === undefined ? {} : { cause }),
  });

type Reviver = (name: string, value: unknown, context: { source?: string }) => unknown;

/** Reads large numbers a second time, from their digits. @returns `null` if it is not a size */
function exactSize(size: unknown, text: string): bigint | null {
  if (isCount(size)) return BigInt(size);
  if (typeof size !== 'number' || !(size > 0 && size <= 2 ** 63)) return null;
  let digits = '';
  // A reviver visits nested fields first, so the last match is the field of the line itself.
  const note: Reviver = (name, value, { source }) => {
    if (name === 'size' && value === size) digits = source ?? '';
    return value;
  };
  JSON.parse(text, note as (name: string, value: unknown) => unknown);
  return /^\d{16,19}$/.test(digits) ? BigInt(digits) : null;
}

function parse(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function headerOf({ format, layout, snapshot, partition }: Fields, key: string): FileIndexHeader {
  if (format !== INDEX_FORMAT) throw damagedIndex(key, `unsupported index format ${String(format)}`);
  const isPartition = partition === null || isCount(partition);
  if (layout !== 'tar' || typeof snapshot !== 'string' || !isPartition)
    throw damagedIndex(key, 'it is not an index of files');
  return { snapshot, partition };
}

const TYPES: readonly unknown[] = ['file', 'directory', 'symlink', 'hardlink', 'character', 'block', 'fifo'];

function memberOf(fields: Fields): IndexedMember | null {
  const {
    type,
    size,
    mode,
    uid,
    gid,
    mtime,
    device,
    xattrs = {},
    rights = {},
    data,
    sha256,
    mapSha256 = null,
    span,
  } = fields;
  const path = bytesOf(fields, 'path');
  const target = bytesOf(fields, 'target') ?? Buffer.alloc(0);
  const time = typeof mtime === 'string' ? TIME.exec(mtime) : null;
  const numbers = { mode, uid, gid };
  const areCounts = Object.values(numbers).every(isCount);
  if (!path || !TYPES.includes(type) || typeof size !== 'bigint' || !areCounts || !time) return null;
  if (!isPair(span) || span[1] <= span[0] || (device !== undefined && !isPair(device))) return null;
  if (!areTexts(xattrs) || !areTexts(rights)) return null;
  const known = type === 'file' ? dataOf(data, sha256, mapSha256, span[1] - span[0]) : null;
  if (type === 'file' && !known) return null;
  return {
    path,
    type: type as MemberType,
    size,
    ...(numbers as Pick<IndexedMember, keyof typeof numbers>),
    mtime: BigInt(`${time[1]}${time[2]}${time[3]}`),
    target,
    device: { major: device?.[0] ?? 0, minor: device?.[1] ?? 0 },
    xattrs: new Map(Object.entries(xattrs).map(([name, value]) => [name, Buffer.from(value, 'base64')])),
    rights,
    data: known,
    span: { from: span[0], to: span[1] },
  };
}

function dataOf(bytes: unknown, sha256: unknown, mapSha256: unknown, maximum: number): IndexedData | null {
  if (!isCount(bytes) || bytes > maximum || !isHash(sha256) || !(mapSha256 === null || isHash(mapSha256))) return null;
  return { bytes, sha256, mapSha256 };
}

const isHash = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);

/** Seconds with nine decimals, as in the index. */
const TIME = /^(-?)(\d{1,18})\.(\d{9})$/;

const isPair = (value: unknown): value is [number, number] =>
  Array.isArray(value) && value.length === 2 && value.every(isCount);

const areTexts = (value: unknown): value is Record<string, string> =>
  isRecord(value) && Object.values(value).every((text) => typeof text === 'string');

function bytesOf(fields: Fields, name: 'path' | 'target'): Buffer | null {
  const text = fields[name];
  const base64 = fields[`${name}Base64`];
  if (typeof text === 'string') return Buffer.from(text, 'utf8');
  return typeof base64 === 'string' ? Buffer.from(base64, 'base64') : null;
}
