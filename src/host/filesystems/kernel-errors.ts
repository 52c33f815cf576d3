/** Errors that the kernel has found in a mounted filesystem. */
import { readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * The ext driver skips damaged parts of directories. Only the kernel log and this counter show it.
 * @returns the number of errors since the filesystem was created; `null` if the driver does not count them.
 */
export function kernelErrors(device: string): number | null {
  try {
    const counted = readFileSync(`/sys/fs/ext4/${basename(realpathSync(device))}/errors_count`, 'utf8');
    return /^\d+$/.test(counted.trim()) ? Number(counted) : null;
  } catch {
    return null;
  }
}
