/** The user metadata of an archive's objects (`x-amz-meta-*`), as version 0 wrote it and with the format of the manifest, within S3's limits. */
import type { Snapshot } from '../cloud/ports.ts';
import { formatStartTime } from './key.ts';
import { MANIFEST_FORMAT } from './manifest.ts';
import { cut } from './tags.ts';

/** On objects of archives that have, or will have, a manifest: its format. Version 0 did not write it. */
export const FORMAT_METADATA = 'archive-format';

/** S3 counts the UTF-8 bytes of all names and values. */
const MAX_BYTES = 2048;

/** @param plainBytes an estimate for tar, exact for images; the manifest has the exact figure for both. */
export function objectMetadata(snapshot: Snapshot, plainBytes: number): Record<string, string> {
  const facts = {
    'snapshot-starttime': formatStartTime(snapshot.startTime),
    'snapshot-snapshotid': snapshot.id,
    'snapshot-volumesize': String(snapshot.sizeGiB),
    'snapshot-volumeid': snapshot.volumeId,
    'uncompressed-size': String(plainBytes),
    [FORMAT_METADATA]: String(MANIFEST_FORMAT),
  };
  const room = MAX_BYTES - byteCount(facts) - 'snapshot-description'.length;
  return { ...facts, 'snapshot-description': fittingHeader(snapshot.description, room) };
}

/** The longest beginning of the text whose header form has at most `room` bytes. */
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
 * A value that HTTP headers carry unharmed: as it is where that is printable ASCII without blanks at its ends, else
 * as RFC 2047 encoded words, which is the form that S3 itself returns such values in.
 */
export function headerValue(text: string): string {
  if (/^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(text) && !text.includes('=?')) return text;
  return encodedWords(text).join(' ');
}

/** An encoded word holds at most 75 characters (RFC 2047 §2), so 45 bytes of UTF-8 in Base64. */
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

/** The inverse of `headerValue`; leaves anything else as it is. */
export function readHeaderValue(value: string): string {
  if (!/^=\?UTF-8\?B\?[A-Za-z0-9+/=]*\?=(?: =\?UTF-8\?B\?[A-Za-z0-9+/=]*\?=)*$/i.test(value)) return value;
  const words = value.split(' ').map((word) => Buffer.from(word.slice('=?UTF-8?B?'.length, -2), 'base64'));
  return Buffer.concat(words).toString('utf8');
}

const byteCount = (facts: Record<string, string>): number =>
  Object.entries(facts).reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value), 0);
