/** Reads the extended headers before a member: records of pax, and the long names of GNU tar. */
import { textOfBytes } from '../../lib/byte-text.ts';
import type { ByteStream } from '../byte-stream.ts';
import { paddingOf, upToZero } from './tar-fields.ts';
import { TarError } from './tar-member.ts';

/**
 * Maximum bytes of the extended headers of a member, which are kept in memory: attributes have about 64 KiB per file, but
 * names and maps of holes can be long. Global headers together have the same limit.
 */
export const MAX_EXTENDED_BYTES = 64 * 1024 * 1024;

export type Records = Map<string, Buffer>;

/** The extended headers before a member. */
export interface ExtendedHeaders {
  global: Records;
  own: Records;
  /** GNU's extension for long names. */
  longName: Buffer | null;
  longTarget: Buffer | null;
  globalBytes: number;
  ownBytes: number;
}

/** @param before the headers of the previous member, of which the global ones remain. */
export const headersAfter = (before: Pick<ExtendedHeaders, 'global' | 'globalBytes'>): ExtendedHeaders => ({
  global: before.global,
  globalBytes: before.globalBytes,
  own: new Map(),
  ownBytes: 0,
  longName: null,
  longTarget: null,
});

/** @returns the content of an extended header. Skips its padding. */
export function takePadded(stream: ByteStream, size: number): Buffer {
  if (size < 0 || size > MAX_EXTENDED_BYTES)
    throw new TarError(`an extended header has an invalid size of ${size} bytes`);
  const bytes = Buffer.from(stream.take(size));
  if (bytes.length < size) throw new TarError('the tar ends within a header');
  stream.skip(paddingOf(size));
  return bytes;
}

export function readExtendedHeader(flag: string, bytes: Buffer, extended: ExtendedHeaders): void {
  extended[flag === 'g' ? 'globalBytes' : 'ownBytes'] += bytes.length;
  if (Math.max(extended.globalBytes, extended.ownBytes) > MAX_EXTENDED_BYTES)
    throw new TarError('the extended headers are too long');
  if (flag === 'L') extended.longName = upToZero(bytes);
  else if (flag === 'K') extended.longTarget = upToZero(bytes);
  else readRecords(bytes, flag === 'g' ? extended.global : extended.own);
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
