import { writeSync } from 'node:fs';

/**
 * Writes all bytes, because one call of write(2) may write fewer. @param position `null` writes at the current
 * position.
 */
export function writeWhole(descriptor: number, bytes: Uint8Array, position: number | null = null): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, position === null ? null : position + done);
  }
}
