/** Removes directories in which other processes may still remove files, and with paths of any length. */
import { existsSync, rmSync } from 'node:fs';

const MAX_ATTEMPTS = 100;

/**
 * `rmSync` ends silently when another process removes a file before it does. `rm` of `fs/promises` does not accept paths of
 * more than 4,095 bytes.
 */
export function removeDirectory(path: string): void {
  for (let attempt = 0; attempt < MAX_ATTEMPTS && existsSync(path); attempt++)
    rmSync(path, { recursive: true, force: true });
}
