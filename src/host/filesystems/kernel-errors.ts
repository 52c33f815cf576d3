/** Errors that the kernel has found in a mounted filesystem. */
import { readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * The ext driver skips damaged parts of directories. Only the kernel log and its counter of errors show it.
 * @returns a function that returns a message if the driver has found damage in the meantime.
 */
export function watchForDamage(type: string, device: string): () => string | null {
  const before = kernelErrors(device);
  return () => (kernelErrors(device) === before ? null : `${type} is damaged; see dmesg`);
}

/** @returns the number of errors since the filesystem was created; `null` if the driver does not count them. */
function kernelErrors(device: string): number | null {
  try {
    const counted = readFileSync(`/sys/fs/ext4/${basename(realpathSync(device))}/errors_count`, 'utf8');
    return /^\d+$/.test(counted.trim()) ? Number(counted) : null;
  } catch {
    return null;
  }
}
