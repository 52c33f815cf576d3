/** Mounts the filesystems of a served disk read-only. */
import { join } from 'node:path';
import { nameOfPart } from '../../../archive/partition-facts.ts';
import { SnapError } from '../../../errors.ts';
import type { Host } from '../../../events.ts';
import { setReadAhead } from '../../../host/devices/block-devices.ts';
import { openPartition } from '../../../host/disks/partition-device.ts';
import { probe, treatmentOf } from '../../../host/filesystems/filesystems.ts';
import { watchForDamage } from '../../../host/filesystems/kernel-errors.ts';
import { driverHint } from '../../../host/filesystems/missing-driver.ts';
import { mounterOf, mountReadOnly } from '../../../host/filesystems/mounts.ts';
import type { ServedDisk } from '../../../host/volumes/served-disk.ts';
import { type Disk, readDisk } from '../../source/read-disk.ts';
import type { ArchivedDisk } from './archived-disk.ts';

export interface MountedPart {
  /** `null` for a disk without a partition table. */
  number: number | null;
  filesystem: string;
  /** The directory at which it is mounted. */
  root: string;
  /** @returns the damage that its driver has found since it was mounted; `null` if it has found none. */
  damage: () => string | null;
}

export interface PartsOrder {
  disk: ArchivedDisk;
  /** The only partition to mount; `null` for all. */
  partition: number | null;
  host: Host;
  searchPath: string;
  signal: AbortSignal;
}

/**
 * Reports partitions that hold no filesystem.
 * @param mounts receives everything that must be released, before the disk is.
 * @throws SnapError `NOT_FOUND` if there is no filesystem; `MOUNT_REFUSED`, `MOUNT_FAILED`.
 */
export async function mountParts(
  served: ServedDisk,
  order: PartsOrder,
  mounts: AsyncDisposableStack,
): Promise<MountedPart[]> {
  const { disk, host, signal } = order;
  const parts: MountedPart[] = [];
  const reasons: string[] = [];
  for (const { number, open } of partsOf(await readDisk(disk.snapshotId, served.device, host, signal), order)) {
    const device = await open(mounts);
    const found = await probe(device, signal);
    const treatment = treatmentOf(found);
    const directory = join(served.directory, `partition-${number ?? 0}`);
    if (treatment.how === 'mount')
      parts.push(await mountPart({ number, type: treatment.type, device, directory }, order, mounts));
    else {
      const { reason } = treatment;
      reasons.push(`${nameOfPart(number)}: ${reason}`);
      if (treatment.how === 'raw')
        host.notify({ code: 'partition.not-restored', snapshot: disk.snapshotId, partition: number, reason });
    }
  }
  if (parts.length === 0) throw noFiles(disk, `it holds no filesystem (${reasons.join('; ')})`);
  return parts;
}

interface Part {
  number: number | null;
  open(mounts: AsyncDisposableStack): Promise<string>;
}

/** @throws SnapError `NOT_FOUND` if the partition table is not understood, or does not have the partition. */
function partsOf({ device, table }: Disk, { disk, partition, signal }: PartsOrder): Part[] {
  if (table.doubt !== null) throw noFiles(disk, table.doubt);
  // The image of a partition has no partitions of its own.
  const wanted = disk.partition === null ? partition : null;
  if (table.kind === 'none' && wanted === null) return [{ number: disk.partition, open: async () => device.path }];
  const found = table.partitions.filter(({ number }) => wanted === null || number === wanted);
  if (found.length === 0) throw noFiles(disk, `the disk has no partition ${wanted}`);
  return found.map((one) => ({
    number: one.number,
    async open(mounts) {
      const opened = mounts.use(await openPartition(device.path, one, signal, ['--direct-io=on']));
      await setReadAhead(opened.path, false, signal);
      return opened.path;
    },
  }));
}

const noFiles = ({ key }: ArchivedDisk, why: string): SnapError =>
  new SnapError('NOT_FOUND', `${key} contains no files that can be restored: ${why}`, {
    hint: 'restore the image with --to-file or --to-device',
  });

interface PartToMount {
  number: number | null;
  type: string;
  device: string;
  directory: string;
}

/** Without a kernel that reads ahead, a damaged block fails only the files that need it. Files are read ahead up to their end. */
async function mountPart(
  { number, type, device, directory }: PartToMount,
  { disk, host, searchPath, signal }: PartsOrder,
  mounts: AsyncDisposableStack,
): Promise<MountedPart> {
  const mount = mounts.use(
    await mountReadOnly(device, type, directory, { replay: true, signal }).catch((error) => {
      throw mounterOf(type, searchPath) === null ? noDriver(number, type, error) : error;
    }),
  );
  mounts.use(host.hold({ what: `mount at ${directory}`, cleanupCommand: `umount ${directory}` }));
  const { helper } = mount;
  // A helper reads the device, and the kernel would read ahead there beyond the ends of files.
  if (helper === null) await setReadAhead(device, true, signal);
  const event = { code: 'partition.mounted', snapshot: disk.snapshotId, partition: number, filesystem: type } as const;
  host.notify({ ...event, mountPoint: directory, helper });
  return { number, filesystem: type, root: mount.path, damage: watchForDamage(type, device) };
}

const noDriver = (number: number | null, type: string, cause: unknown): SnapError =>
  new SnapError('MOUNT_REFUSED', `this machine has no driver for ${type}, the filesystem of ${nameOfPart(number)}`, {
    hint: `${driverHint(type)}, or select another partition with --partition`,
    cause,
  });
