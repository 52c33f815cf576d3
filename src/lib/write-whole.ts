import { writeSync } from 'node:fs';

/** One write may take less than it is given. @param position in the file; `null`: where it stands. */
export function writeWhole(descriptor: number, bytes: Uint8Array, position: number | null = null): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, position === null ? null : position + done);
  }
}
