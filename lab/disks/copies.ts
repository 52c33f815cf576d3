/** Copies disk images, as a snapshot copies the disk of a machine. */
import { run } from '../core/run.ts';
import { filesystemType, partitionPlace } from './inspect.ts';
import { withDevice, withFilesystem } from './mounted.ts';

/** A copy with the UUIDs of the original, like each volume from a snapshot. Holes are kept. */
async function copyDisk(from: string, to: string): Promise<void> {
  await run(['cp', '--sparse=always', from, to]);
}

/**
 * Mounts a filesystem for writing, lets `write` work on it, and copies the image while it is still mounted. What
 * `write` has synced (`fsync`, not `sync`) is in the journal of the copy, and not yet in its place.
 * @param partition its number, or `null` for an image without a partition table.
 */
export async function copyWhileMounted(
  from: string,
  to: string,
  partition: number | null,
  write: (directory: string) => Promise<void>,
): Promise<void> {
  const place = partition === null ? null : await partitionPlace(from, partition);
  await withDevice(from, place, { readOnly: false }, async (device) => {
    const type = await filesystemType(device);
    await withFilesystem(device, type, {}, async (directory) => {
      await write(directory);
      await copyDisk(from, to);
    });
  });
}
