/** Text from elsewhere, as a terminal or a report may show it: nothing in it can move a cursor or turn letters round. */

/** Control and format characters (which reorder, hide or colour text), separators of lines, and the escape itself. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\\]/u;

/**
 * A name of bytes: what is no printable UTF-8 is shown as `\xff`, byte by byte, and a backslash as `\\`, so that two
 * names are never shown alike.
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
  // Of a broken sequence, one byte is taken: the next may begin a character.
  const rest = bytes.subarray(at + 1, at + length);
  return rest.length === length - 1 && rest.every((byte) => byte >> 6 === 0b10) ? length : 1;
}

const escaped = (bytes: Buffer): string =>
  bytes.equals(BACKSLASH) ? '\\\\' : [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');

const BACKSLASH = Buffer.from('\\');
