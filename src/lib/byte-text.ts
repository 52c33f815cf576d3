/**
 * Names that are bytes, usually UTF-8, as texts and back without loss. If a name is not valid UTF-8, its bytes above 127
 * become the surrogates U+DC80 to U+DCFF, which valid UTF-8 does not have. Python calls this `surrogateescape`.
 */

const ESCAPE = 0xdc00;

export function textOfBytes(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (Buffer.from(text).equals(bytes)) return text;
  return [...bytes].map((byte) => String.fromCharCode(byte < 0x80 ? byte : ESCAPE + byte)).join('');
}

export function bytesOfText(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text);
  return Buffer.concat([...text].map((character) => bytesOfCharacter(character)));
}

function bytesOfCharacter(character: string): Buffer {
  const byte = character.charCodeAt(0) - ESCAPE;
  return character.length === 1 && byte >= 0x80 && byte <= 0xff ? Buffer.from([byte]) : Buffer.from(character);
}
