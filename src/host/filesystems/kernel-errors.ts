/** Errors that the kernel has found in a mounted filesystem. */
import { readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * The driver of ext skips parts of directories that are damaged, and tells nobody but the log and this counter.
 * @returns how many errors it has counted since the filesystem was made; `null` where the driver does not count.
 */
export function kernelErrors(device: string): number | null {
  try {
    const counted = readFileSync(`/sys/fs/ext4/${basename(realpathSync(device))}/errors_count`, 'utf8');
    return /^\d+$/.test(counted.trim()) ? Number(counted) : null;
  } catch {
    return null;
  }
}
