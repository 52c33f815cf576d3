/** Makes names from archives and filesystems safe for terminals and reports. */

/** Control and format characters (which can reorder, hide or color text), line separators, and the backslash. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\\]/u;

/**
 * Returns a name in printable form. Bytes that are not printable UTF-8 are shown as `\xff` and a backslash as `\\`, so
 * that different names always look different.
 */
export function printable(name: Buffer | string): string {
  const bytes = typeof name === 'string' ? Buffer.from(name) : name;
  const text = bytes.toString('utf8');
  if (!UNSAFE.test(text) && Buffer.from(text).equals(bytes)) return text;
  let shown = '';
  for (let at = 0; at < bytes.length; ) {
    const length = lengthOfCharacter(bytes, at);
    const character = bytes.toString('utf8', at, at + length);
    const isWhole = Buffer.from(character).equals(bytes.subarray(at, at + length));
    shown += isWhole && !UNSAFE.test(character) ? character : escaped(bytes.subarray(at, at + length));
    at += length;
  }
  return shown;
}

function lengthOfCharacter(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  // Of an invalid sequence, only one byte is consumed, because the next one may start a character.
  const rest = bytes.subarray(at + 1, at + length);
  return rest.length === length - 1 && rest.every((byte) => byte >> 6 === 0b10) ? length : 1;
}

const escaped = (bytes: Buffer): string =>
  bytes.equals(BACKSLASH) ? '\\\\' : [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');

const BACKSLASH = Buffer.from('\\');
