/** XXH32 with seed 0, as lz4 uses it. Source: "xxHash fast digest algorithm" 0.1.1. */

const [PRIME1, PRIME2, PRIME3, PRIME4, PRIME5] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1] as const;

export const STRIPE_BYTES = 16;

/** The state of the lanes before the first stripe. */
export const FRESH_LANES = [(PRIME1 + PRIME2) | 0, PRIME2 | 0, 0, -PRIME1 | 0] as const;

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

/**
 * @param lanes state of the lanes after all whole stripes.
 * @param total number of bytes. It must not be reduced modulo 2 ** 32, or 4 GiB would count as less than a stripe.
 * @param rest bytes after the last whole stripe.
 */
export function finishChecksum(lanes: readonly [number, number, number, number], total: number, rest: Buffer): number {
  const [first, second, third, fourth] = lanes;
  const mixed =
    total < STRIPE_BYTES ? PRIME5 : rotate(first, 1) + rotate(second, 7) + rotate(third, 12) + rotate(fourth, 18);
  let hash = (mixed + total) | 0;
  let at = 0;
  for (; at + 4 <= rest.length; at += 4)
    hash = Math.imul(rotate((hash + Math.imul(rest.readUInt32LE(at), PRIME3)) | 0, 17), PRIME4);
  for (; at < rest.length; at++)
    hash = Math.imul(rotate((hash + Math.imul(rest.readUInt8(at), PRIME5)) | 0, 11), PRIME1);
  hash = Math.imul(hash ^ (hash >>> 15), PRIME2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The checksum of fewer than 16 bytes. */
export const checksumOfShort = (bytes: Buffer): number => finishChecksum([0, 0, 0, 0], bytes.length, bytes);
