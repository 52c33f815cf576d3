/** Creates a file with the size of a disk that takes no space, for test runs of tools. */
import { closeSync, ftruncateSync, openSync } from 'node:fs';

/** @returns `false` if the filesystem does not allow files of this size. */
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
