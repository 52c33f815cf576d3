/** Removes directories with paths of any length, even while other processes remove files in them. */
import { existsSync, rmSync } from 'node:fs';

const MAX_ATTEMPTS = 100;

/**
 * `rmSync` ends silently when another process removes a file before it does. `rm` of `fs/promises` does not accept
 * paths of more than 4,095 bytes.
 */
export function removeDirectory(path: string): void {
  for (let attempt = 0; attempt < MAX_ATTEMPTS && existsSync(path); attempt++)
    rmSync(path, { recursive: true, force: true });
}
