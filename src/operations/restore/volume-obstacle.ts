/** Checks whether files can be restored to a volume: whether their filesystem can be created, and has space for them. */
import type { ManifestObject } from '../../archive/manifest.ts';
import { describeOptions, nameOfPart } from '../../archive/partition-facts.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { planTable, tryMakingTable } from '../../host/disks/make-table.ts';
import {
  makersOf,
  type Simplification,
  tryFillingFilesystem,
  tryMakingFilesystem,
  type WantedFilesystem,
} from '../../host/filesystems/make-filesystem.ts';
import { formatBytes } from '../../lib/units.ts';
import type { Services } from '../shared/services.ts';
import type { Disk } from '../source/read-disk.ts';

/** The part of a migration that this module needs. */
interface Archiving {
  snapshot: Snapshot;
  services: Services;
  signal: AbortSignal;
}

/** Sizes in bytes. */
export interface Space {
  /** Size of the partition or of the disk. */
  size: number;
  /** Used space of the archived filesystem. */
  usedBytes: number;
  /** Used and free space for files; `null` if its driver does not report it. */
  roomBytes: number | null;
}

interface Obstacle {
  reason: string;
  /** Whether the restore will certainly fail; otherwise it may work. */
  isCertain: boolean;
}

/**
 * Reports during the migration that `restore --to-volume` cannot, or may not be able to, restore the object.
 * @returns the object with the space and the obstacle.
 */
export async function noteObstacle(
  object: ManifestObject,
  space: Space,
  { snapshot, services, signal }: Archiving,
): Promise<ManifestObject> {
  const obstacle = await obstacleTo(object, space, signal);
  if (obstacle) {
    const { partition } = object;
    services.host.notify({ code: 'partition.obstacle', snapshot: snapshot.id, partition, ...obstacle });
  }
  return { ...object, roomBytes: space.roomBytes, volumeObstacle: obstacle?.reason ?? null };
}

/** @returns why the partition table of the disk cannot be recreated on this machine; `null` if it can be. */
export async function noteTableObstacle(
  { device, table }: Disk,
  { snapshot, services, signal }: Archiving,
): Promise<string | null> {
  try {
    await tryMakingTable(planTable(table.json, device.size), device.size, signal);
    return null;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SnapError) || !['TARGET', 'MANIFEST'].includes(error.code)) throw error;
    const { message: reason } = error;
    const obstacle = { code: 'partition.obstacle', partition: null, reason, isCertain: false } as const;
    services.host.notify({ ...obstacle, snapshot: snapshot.id });
    return reason;
  }
}

async function obstacleTo(object: ManifestObject, space: Space, signal: AbortSignal): Promise<Obstacle | null> {
  const { filesystem, label, geometry = null, contentBytes = null } = object;
  // The UUID is omitted, because the mounted filesystem uses it, which mkfs.btrfs refuses.
  const wanted = { type: filesystem ?? '', uuid: null, label, geometry };
  if (makersOf(wanted.type).length === 0)
    return { reason: `snap-to-s3 cannot create filesystems of type ${wanted.type}`, isCertain: true };
  const { roomBytes, usedBytes } = space;
  if (contentBytes !== null && roomBytes !== null) {
    if (contentBytes > roomBytes) return { reason: tooMuch(wanted.type, contentBytes, roomBytes), isCertain: true };
    if (contentBytes > usedBytes && contentBytes > NEARLY * roomBytes)
      return { reason: tight(wanted.type, contentBytes, roomBytes), isCertain: false };
  }
  const reason = await doubtAbout(space.size, wanted, signal);
  return reason === null ? null : { reason, isCertain: false };
}

/** The share of the space that files can certainly use; the rest may be needed for metadata. */
const NEARLY = 0.9;

/** Why the restored files can need more space than the archived ones, by filesystem type. */
const SHARED: Record<string, string> = {
  btrfs: 'without compression, and with separate copies for subvolume snapshots and reflinks',
  xfs: 'with separate copies for reflinks',
};

const described = (type: string, contentBytes: number): string =>
  `its files need ${formatBytes(contentBytes)} ${SHARED[type] ?? 'without shared blocks'}`;

const tooMuch = (type: string, contentBytes: number, roomBytes: number): string =>
  `${described(type, contentBytes)}, which is more than the ${formatBytes(roomBytes)} of the filesystem`;

const tight = (type: string, contentBytes: number, roomBytes: number): string =>
  `${described(type, contentBytes)}, which may not fit in the ${formatBytes(roomBytes)} of the filesystem`;

/**
 * Returns why the tools of this machine cannot create the filesystem, or not with all recorded parameters. Missing tools
 * are ignored, because the restore may run on another machine.
 */
async function doubtAbout(size: number, wanted: WantedFilesystem, signal: AbortSignal): Promise<string | null> {
  try {
    const simplification = await tryMakingFilesystem(size, wanted, signal);
    await tryFillingFilesystem(wanted, signal);
    return simplification && onlySimplified(wanted, simplification);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SnapError)) throw error;
    return error.code === 'TARGET' ? error.message : null;
  }
}

const onlySimplified = ({ type }: WantedFilesystem, { omitted, added, reason }: Simplification): string =>
  `${type} would be created ${describeOptions(omitted, added)}, because its tool refuses the original parameters: ${reason}`;

/** Files, and the filesystem that is created for them. */
export interface FilesToFit extends Pick<Space, 'roomBytes'> {
  filesystem: WantedFilesystem;
  /** Bytes of the files without holes; `null` if not recorded. */
  contentBytes: number | null;
  /** `null` for the whole disk. */
  partition: { number: number; size: number } | null;
}

/**
 * Call it before anything is created.
 * @param disk sizes in bytes of the original disk and of the new one.
 * @returns how the filesystem will differ from the original; `null` if it will have all recorded parameters.
 * @throws SnapError `TARGET`, `TOOL_MISSING`
 */
export async function assertRestorable(
  { filesystem, contentBytes, roomBytes, partition }: FilesToFit,
  disk: { before: number; now: number },
  signal: AbortSignal,
): Promise<Simplification | null> {
  const grown = partition === null ? disk.now - disk.before : 0;
  if (contentBytes !== null && roomBytes !== null && contentBytes > roomBytes + grown) {
    const why = tooMuch(filesystem.type, contentBytes, roomBytes + grown);
    throw new SnapError('TARGET', `the files of ${nameOfPart(partition?.number ?? null)} do not fit: ${why}`, {
      hint:
        partition === null
          ? 'specify a larger --volume-size, or restore the files with --to-dir'
          : 'create a larger filesystem, and restore the files to it with --to-dir and --partition',
    });
  }
  const simplification = await tryMakingFilesystem(partition?.size ?? disk.now, filesystem, signal);
  await tryFillingFilesystem(filesystem, signal);
  return simplification;
}
