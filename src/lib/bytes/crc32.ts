/**
 * Computes the CRC-32 of concatenated byte strings from their CRC-32s.
 *
 * A CRC is the remainder of a polynomial over GF(2), so crc(A‖B) = crc(A)·x^(8·|B|) + crc(B) modulo that polynomial.
 * Polynomials are 32-bit numbers with the highest power in the lowest bit, as in CRC registers.
 */
import { crc32 } from 'node:zlib';

const POLYNOMIAL = 0xedb88320;
const ONE = 0x80000000;

/** A CRC-32 and the number of bytes that it covers. */
export interface Crc32 {
  value: number;
  bytes: number;
}

export const crc32Of = (data: Buffer): Crc32 => ({ value: crc32(data), bytes: data.length });

export const joinCrc32 = (first: Crc32, second: Crc32): Crc32 => ({
  value: (multiply(first.value, powerOfX(8 * second.bytes)) ^ second.value) >>> 0,
  bytes: first.bytes + second.bytes,
});

/** Encodes a CRC-32 as in the headers of S3: four bytes, big-endian, in Base64. */
export function encodeCrc32(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes.toString('base64');
}

export const decodeCrc32 = (encoded: string): number => Buffer.from(encoded, 'base64').readUInt32BE();

/** Computes a·b modulo the polynomial, one bit of `a` after another from x^0 upwards. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if (a & bit) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product >>> 0;
}

/** Computes x^exponent modulo the polynomial by repeated squaring. */
function powerOfX(exponent: number): number {
  let result = ONE;
  let square = ONE >>> 1;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = multiply(result, square);
    square = multiply(square, square);
  }
  return result;
}
