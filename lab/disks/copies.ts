/** Copies disk images like a snapshot copies the disk of a machine. */
import { run } from '../core/run.ts';
import { filesystemType, partitionPlace } from './inspect.ts';
import { withDevice, withFilesystem } from './mounted.ts';

/** Copies a disk with its UUIDs and holes. Each volume of a snapshot is such a copy. */
async function copyDisk(from: string, to: string): Promise<void> {
  await run(['cp', '--sparse=always', from, to]);
}

/**
 * Mounts a filesystem for writing, calls `write`, and copies the image while the filesystem is still mounted. Data that
 * `write` has synced (`fsync`, not `sync`) is in the journal of the copy, and not yet in its final place.
 * @param partition the number of the partition, or `null` for an image without a partition table.
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
