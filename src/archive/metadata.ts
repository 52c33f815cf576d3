/**
 * The user metadata of objects (`x-amz-meta-*`): the fields of version 0 and the format of the manifest, within S3's
 * limits.
 */
import type { Snapshot } from '../cloud/ports.ts';
import { formatStartTime } from './key.ts';
import { MANIFEST_FORMAT } from './manifest.ts';
import { cut } from './tags.ts';

/** The manifest format, on objects of archives that have or will have a manifest. Version 0 did not write it. */
export const FORMAT_METADATA = 'archive-format';

/** S3 counts the UTF-8 bytes of all names and values. */
const MAX_METADATA_BYTES = 2048;

/**
 * @param plainBytes estimated for a tar, exact for an image. The manifest has the exact value for both.
 * @param format of the manifest.
 */
export function objectMetadata(
  snapshot: Snapshot,
  plainBytes: number,
  format: number = MANIFEST_FORMAT,
): Record<string, string> {
  const facts = {
    'snapshot-starttime': formatStartTime(snapshot.startTime),
    'snapshot-snapshotid': snapshot.id,
    'snapshot-volumesize': String(snapshot.sizeGiB),
    'snapshot-volumeid': snapshot.volumeId,
    'uncompressed-size': String(plainBytes),
    [FORMAT_METADATA]: String(format),
  };
  const room = MAX_METADATA_BYTES - byteCount(facts) - 'snapshot-description'.length;
  return { ...facts, 'snapshot-description': fittingHeader(snapshot.description, room) };
}

/** Returns the longest start of the text whose header value has at most `room` bytes. */
function fittingHeader(text: string, room: number): string {
  let units = text.length;
  let value = headerValue(text);
  while (value.length > room) {
    units = Math.min(units - 1, Math.floor((units * room) / value.length));
    value = headerValue(cut(text, units));
  }
  return value;
}

/**
 * Encodes a text so that HTTP headers preserve it. Printable ASCII without spaces at the ends stays as it is. Anything
 * else becomes RFC 2047 encoded words, the form in which S3 returns such values.
 */
export function headerValue(text: string): string {
  if (/^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(text) && !text.includes('=?')) return text;
  return encodedWords(text).join(' ');
}

/** An encoded word has at most 75 characters (RFC 2047 §2), which are 45 bytes of UTF-8 in Base64. */
function encodedWords(text: string): string[] {
  const words: string[] = [];
  let bytes: Buffer[] = [];
  let length = 0;
  const flush = () => {
    words.push(`=?UTF-8?B?${Buffer.concat(bytes).toString('base64')}?=`);
    bytes = [];
    length = 0;
  };
  for (const character of text) {
    const encoded = Buffer.from(character, 'utf8');
    if (length + encoded.length > 45) flush();
    bytes.push(encoded);
    length += encoded.length;
  }
  if (length > 0) flush();
  return words;
}

/** Reverses `headerValue`. Any other text is returned unchanged. */
export function readHeaderValue(value: string): string {
  if (!/^=\?UTF-8\?B\?[A-Za-z0-9+/=]*\?=(?: =\?UTF-8\?B\?[A-Za-z0-9+/=]*\?=)*$/i.test(value)) return value;
  const words = value.split(' ').map((word) => Buffer.from(word.slice('=?UTF-8?B?'.length, -2), 'base64'));
  return Buffer.concat(words).toString('utf8');
}

const byteCount = (facts: Record<string, string>): number =>
  Object.entries(facts).reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value), 0);
