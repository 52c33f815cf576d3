/** Inspects the filesystems of a disk image without changing it. */
import { run } from '../core/run.ts';
import { lookAtFat, type Place, withDevice, withFilesystem } from './mounted.ts';

/** Mount options that allow a second copy of a filesystem to be mounted at the same time. */
const MOUNT_OPTIONS: Record<string, string> = { xfs: 'ro,nouuid,norecovery' };

/**
 * Mounts one filesystem of an image read-only while `look` runs.
 * @param partition the number of the partition, or `null` for an image without a partition table.
 */
export async function withMounted<T>(
  image: string,
  partition: number | null,
  look: (directory: string) => Promise<T>,
): Promise<T> {
  const place = partition === null ? null : await partitionPlace(image, partition);
  return withDevice(image, place, { readOnly: true }, async (device) => {
    const type = await filesystemType(device);
    if (type === 'vfat') return lookAtFat(device, look);
    return withFilesystem(device, type, { mountOptions: MOUNT_OPTIONS[type] ?? 'ro' }, look);
  });
}

export const filesystemType = async (device: string): Promise<string> =>
  (await run(['blkid', '--probe', '--output', 'value', '--match-tag', 'TYPE', device])).trim();

/** Returns the position of a partition. */
export async function partitionPlace(image: string, partition: number): Promise<Place> {
  const { partitiontable: table } = JSON.parse(await run(['sfdisk', '--json', image])) as {
    partitiontable: { sectorsize?: number; partitions: { node: string; start: number; size: number }[] };
  };
  const sector = table.sectorsize ?? 512;
  const found = table.partitions.find(({ node }) => node.slice(image.length).replace(/^p/, '') === String(partition));
  if (!found) throw new Error(`${image} has no partition ${partition}`);
  return { start: found.start * sector, size: found.size * sector };
}
