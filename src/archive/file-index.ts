/**
 * What is where in a tar: a line of JSON for each member and for each piece, compressed by zstd.
 *
 * The first line says what it is an index of, the last one how much there was: without it, the index is cut short.
 */
import { SnapError } from '../errors.ts';
import { INDEX_FORMAT } from './block-index.ts';
import { dataLength, hashMap } from './member-data.ts';
import type { MemberType, TarMember } from './tar-reader.ts';
import { decimalSeconds } from './tar-writer.ts';

export interface FileIndexHeader {
  snapshot: string;
  partition: number | null;
}

/** One member of the tar: as its headers have it, and where it is. */
export interface IndexedMember extends Omit<TarMember, 'hasFraction' | 'isSparse' | 'segments'> {
  /** `null` for all but files. */
  data: IndexedData | null;
  /** Where headers and data are in the plain stream, in bytes; the end with its padding, exclusive. */
  span: { from: number; to: number };
}

/** The bytes that the tar holds of a file, holes left out. */
export interface IndexedData {
  bytes: number;
  /** In base 16. */
  sha256: string;
  /** Of sparse files: the hash of where these bytes belong, in base 16; `null` for others, and in indexes of old. */
  mapSha256: string | null;
}

/** A place where decoding may begin, or the end of the last piece: in the plain stream and in the object, in bytes. */
export interface Place {
  plain: number;
  stored: number;
}

/** What was read in all. */
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

/** What an index says of a member. @param sha256 of its data, in base 16; `null` for all but files. */
export function indexed(member: TarMember, sha256: string | null, span: IndexedMember['span']): IndexedMember {
  const mapSha256 = member.isSparse ? hashMap(member.segments) : null;
  const data = sha256 === null ? null : { bytes: dataLength(member), sha256, mapSha256 };
  return { ...member, data, span };
}

/** Whether it is known where in the file its bytes belong. */
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

/** JSON, unlike its reader here, knows numbers of any length. Types do not know the function yet. */
const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => object };

const exactNumber = (value: bigint): number | object =>
  value > Number.MAX_SAFE_INTEGER ? rawJSON(String(value)) : Number(value);

const line = (content: object): string => `${JSON.stringify(content)}\n`;

/** Names are bytes: those that are no UTF-8 stand in Base64 under another name. */
function nameAs(field: 'path' | 'target', bytes: Buffer): Record<string, string> {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? { [field]: text } : { [`${field}Base64`]: bytes.toString('base64') };
}

type Fields = Record<string, unknown>;

/**
 * An index is input from elsewhere: every field is checked.
 * @param key of the index, for the error.
 * @throws SnapError `MANIFEST`
 */
export function decodeIndexLine(text: string, key: string): IndexLine {
  const fields = parse(text);
  if (!fields) throw damagedIndex(key, 'a line is no JSON');
  const { format, piece, end } = fields;
  if (format !== undefined) return { is: 'header', header: headerOf(fields, key) };
  if (isRecord(piece) && isCount(piece['plain']) && isCount(piece['stored']))
    return { is: 'piece', place: { plain: piece['plain'], stored: piece['stored'] } };
  if (isRecord(end) && isCount(end['members']) && isCount(end['bytes']))
    return { is: 'end', end: { members: end['members'], bytes: end['bytes'] } };
  const member = memberOf({ ...fields, size: exactSize(fields['size'], text) });
  if (!member) throw damagedIndex(key, `a line that is none: ${text.slice(0, 80)}`);
  return { is: 'member', member };
}

export const damagedIndex = (key: string, why: string, cause?: unknown): SnapError =>
  new SnapError('MANIFEST', `${key}: ${why}`, {
    hint: 'somebody wrote over the index; the data object may still be whole: --no-index reads all of it',
    ...(cause === undefined ? {} : { cause }),
  });

type Reviver = (name: string, value: unknown, context: { source?: string }) => unknown;

/** Numbers that are too long for a number are read once more, digit by digit. @returns `null` for what is no size. */
function exactSize(size: unknown, text: string): bigint | null {
  if (isCount(size)) return BigInt(size);
  if (typeof size !== 'number' || !(size > 0 && size <= 2 ** 63)) return null;
  let digits = '';
  // The last one is that of the line itself.
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
    throw damagedIndex(key, 'this is no index of files');
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

function dataOf(bytes: unknown, sha256: unknown, mapSha256: unknown, most: number): IndexedData | null {
  if (!isCount(bytes) || bytes > most || !isHash(sha256) || !(mapSha256 === null || isHash(mapSha256))) return null;
  return { bytes, sha256, mapSha256 };
}

const isHash = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);

/** Seconds with nine decimals, as they are written. */
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
