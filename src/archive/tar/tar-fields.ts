/** The fields of a header, and the blocks that a tar consists of. */
import { TarError } from './tar-member.ts';

/** Headers and contents start at multiples of this number of bytes. */
export const TAR_BLOCK = 512;

export const paddingOf = (length: number): number => (TAR_BLOCK - (length % TAR_BLOCK)) % TAR_BLOCK;

/** Reads octal digits, or GNU's binary form for larger numbers. */
export function readNumber(header: Buffer, at: number, length: number): number {
  return readPlainOctal(header, at, length) ?? readAnyNumber(header, at, length);
}

/** Reads the usual form quickly: digits, followed by a zero byte. Returns `null` for any other form. */
function readPlainOctal(header: Buffer, at: number, length: number): number | null {
  let value = 0;
  for (let index = at; index < at + length; index++) {
    const digit = (header[index] ?? 0) - 0x30;
    if (digit === -0x30 && index > at) return value;
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

/** A text ends at the first zero byte, or fills its field. */
export function upToZero(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}
