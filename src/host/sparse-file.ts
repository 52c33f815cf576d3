/** A file of the size of a disk that takes no room, for trying things out. */
import { closeSync, ftruncateSync, openSync } from 'node:fs';

/** @returns `false` where no file can be that large. */
export function makeSparse(file: string, bytes: number): boolean {
  const descriptor = openSync(file, 'wx', 0o600);
  try {
    ftruncateSync(descriptor, bytes);
    return true;
  } catch {
    return false;
  } finally {
    closeSync(descriptor);
  }
}
