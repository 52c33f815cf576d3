/** Whether files that are archived can be given back to a volume: whether their filesystem can be made, and holds them. */
import type { ManifestObject } from '../../archive/manifest.ts';
import { nameOfPart } from '../../archive/partition-facts.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { planTable, tryMakingTable } from '../../host/disks/make-table.ts';
import {
  makersOf,
  tryFillingFilesystem,
  tryMakingFilesystem,
  type WantedFilesystem,
} from '../../host/filesystems/make-filesystem.ts';
import { formatBytes } from '../../lib/units.ts';
import type { Services } from '../shared/services.ts';
import type { Disk } from '../source/read-disk.ts';

/** The migration of a snapshot, as far as this module needs it. */
interface Archiving {
  snapshot: Snapshot;
  services: Services;
  signal: AbortSignal;
}

/** Bytes. */
export interface Space {
  /** Of the partition, or of the disk. */
  size: number;
  /** Of the filesystem that is archived. */
  usedBytes: number;
  /** What it has for files, used or free; `null` where its driver does not tell. */
  roomBytes: number | null;
}

interface Obstacle {
  reason: string;
  /** `false`: it may work all the same. */
  isCertain: boolean;
}

/** Says at once what would only be found out when the archive is needed. @returns the object with what is known of it. */
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

/** @returns why the partition table of the disk cannot be made anew here; `null` where it can. */
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
  // Its UUID is in use here at this moment, which mkfs.btrfs refuses.
  const wanted = { type: filesystem ?? '', uuid: null, label, geometry };
  if (makersOf(wanted.type).length === 0)
    return { reason: `nothing here makes a filesystem of type ${wanted.type}`, isCertain: true };
  const { roomBytes, usedBytes } = space;
  if (contentBytes !== null && roomBytes !== null) {
    if (contentBytes > roomBytes) return { reason: tooMuch(wanted.type, contentBytes, roomBytes), isCertain: true };
    if (contentBytes > usedBytes && contentBytes > NEARLY * roomBytes)
      return { reason: tight(wanted.type, contentBytes, roomBytes), isCertain: false };
  }
  const refusal = await refusalToMake(space.size, wanted, signal);
  return refusal && { reason: refusal.message, isCertain: false };
}

/** What more than its share of a filesystem may be needed for metadata. */
const NEARLY = 0.9;

/** Of why files take more than they took. */
const SHARED: Record<string, string> = {
  btrfs: 'without compression, and with snapshots of subvolumes and reflinks as copies',
  xfs: 'with reflinks as copies',
};

const described = (type: string, contentBytes: number): string =>
  `its files take ${formatBytes(contentBytes)} ${SHARED[type] ?? 'without sharing blocks'}`;

const tooMuch = (type: string, contentBytes: number, roomBytes: number): string =>
  `${described(type, contentBytes)}, which is larger than the ${formatBytes(roomBytes)} that the filesystem has`;

const tight = (type: string, contentBytes: number, roomBytes: number): string =>
  `${described(type, contentBytes)}, which may not fit in the ${formatBytes(roomBytes)} that the filesystem has`;

/** Another machine, which has the program or another version of it, may do what this one does not. */
async function refusalToMake(size: number, wanted: WantedFilesystem, signal: AbortSignal): Promise<SnapError | null> {
  try {
    await tryMakingFilesystem(size, wanted, signal);
    await tryFillingFilesystem(wanted, signal);
    return null;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SnapError)) throw error;
    return error.code === 'TARGET' ? error : null;
  }
}

/** What is to be filled with files. */
export interface FilesToFit extends Pick<Space, 'roomBytes'> {
  filesystem: WantedFilesystem;
  /** Data of the files, holes left out; `null` where nobody counted. */
  contentBytes: number | null;
  /** `null`: the whole disk. */
  partition: { number: number; size: number } | null;
}

/**
 * To be asked before anything is made.
 * @param disk bytes that the old disk had, and the new one has.
 * @throws SnapError `TARGET`, `TOOL_MISSING`
 */
export async function assertRestorable(
  { filesystem, contentBytes, roomBytes, partition }: FilesToFit,
  disk: { before: number; now: number },
  signal: AbortSignal,
): Promise<void> {
  const grown = partition === null ? disk.now - disk.before : 0;
  if (contentBytes !== null && roomBytes !== null && contentBytes > roomBytes + grown) {
    const why = tooMuch(filesystem.type, contentBytes, roomBytes + grown);
    throw new SnapError('TARGET', `the files of ${nameOfPart(partition?.number ?? null)} do not fit: ${why}`, {
      hint:
        partition === null
          ? 'give a larger --volume-size, or restore the files with --to-dir'
          : 'make a larger filesystem, and restore the files to it with --to-dir and --partition',
    });
  }
  await tryMakingFilesystem(partition?.size ?? disk.now, filesystem, signal);
  await tryFillingFilesystem(filesystem, signal);
}
