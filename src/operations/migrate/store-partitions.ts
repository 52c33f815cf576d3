/** Stores the disk of a snapshot, partition by partition or as one image. */
import { statfs } from 'node:fs/promises';
import type { ManifestObject, RecordedPartition } from '../../archive/manifest.ts';
import { nameOfPart } from '../../archive/partition-facts.ts';
import { SnapError } from '../../errors.ts';
import { deviceSize, sectorsWritten } from '../../host/devices/block-devices.ts';
import { notKeptOutside } from '../../host/disks/outside-partitions.ts';
import { openPartition } from '../../host/disks/partition-device.ts';
import { readGeometry } from '../../host/filesystems/filesystem-geometry.ts';
import { missingNames, surveyFilesystem } from '../../host/filesystems/filesystem-obstacles.ts';
import { type Probe, probe, type Treatment } from '../../host/filesystems/filesystems.ts';
import { watchForDamage } from '../../host/filesystems/kernel-errors.ts';
import { mountReadOnly } from '../../host/filesystems/mounts.ts';
import { treatmentOn } from '../../host/filesystems/outside-filesystem.ts';
import type { FilesystemSurvey } from '../../host/filesystems/survey.ts';
import { inParallel } from '../../lib/parallel.ts';
import { noteObstacle, noteTableObstacle, type Space } from '../restore/volume-obstacle.ts';
import { mountDirectory } from '../source/mount-directory.ts';
import type { Disk } from '../source/read-disk.ts';
import { FreshDiskNeeded, type Migration, type StoredDisk } from './migration.ts';
import { countingNotKept, reportNotKept } from './note-not-kept.ts';
import type { Content } from './object/content.ts';
import { storeContent, UNKNOWN } from './store-content.ts';

/** Stores one image of the whole disk. */
export async function storeDisk(migration: Migration, { device }: Disk): Promise<StoredDisk> {
  const content: Content = { kind: 'device', device: device.path, expectedBytes: device.size };
  const { object } = await storeContent(migration, null, UNKNOWN, content);
  return { ...NOTHING, objects: [object] };
}

const NOTHING: StoredDisk = { objects: [], recorded: [], notKept: [], volumeObstacle: null };

/** Stores each partition as files if nothing would be lost, otherwise as an image. */
export async function storePartitions(migration: Migration, disk: Disk): Promise<StoredDisk> {
  const { device, table } = disk;
  const { snapshot, settings, services } = migration;
  if (table.doubt !== null) {
    assertNotStrict(migration, null, table.doubt);
    keepRaw(migration, null, table.doubt);
    return storeDisk(migration, disk);
  }
  for (const partition of table.beyondEnd)
    services.host.notify({ code: 'partition.recorded', snapshot: snapshot.id, partition, reason: BEYOND_END });
  if (table.kind === 'none') {
    const part = { number: null, device: device.path, size: device.size };
    return { ...NOTHING, ...sorted([await storePartition(migration, part)]) };
  }
  const known = await lookAtTable(migration, disk);
  const most = settings.concurrentPartitions;
  const stored: StoredPart[] = [];
  await inParallel(table.partitions, most, migration.signal, async ({ number, size, ...place }, signal) => {
    await using opened = await openPartition(device.path, { number, size, ...place }, signal);
    stored.push(await storePartition({ ...migration, signal }, { number, device: opened.path, size }));
  });
  return { ...known, ...sorted(stored) };
}

/** The result for a partition or for the whole disk. */
type StoredPart = { kind: 'object'; object: ManifestObject } | { kind: 'recorded'; recorded: RecordedPartition };

function sorted(parts: readonly StoredPart[]): Pick<StoredDisk, 'objects' | 'recorded'> {
  return {
    objects: parts.flatMap((part) => (part.kind === 'object' ? [part.object] : [])).sort(byPartition),
    recorded: parts.flatMap((part) => (part.kind === 'recorded' ? [part.recorded] : [])).sort(byPartition),
  };
}

/** Finds data outside the partitions, and checks whether the partition table can be recreated. */
async function lookAtTable(migration: Migration, disk: Disk): Promise<Pick<StoredDisk, 'notKept' | 'volumeObstacle'>> {
  const notKept = await notKeptOutside(disk.device.path, disk.table, migration.signal);
  reportNotKept(null, notKept, '--dd keeps everything', migration);
  return { notKept, volumeObstacle: await noteTableObstacle(disk, migration) };
}

const BEYOND_END = 'it starts beyond the end of the disk';

/** @throws SnapError `UNREADABLE` with `--strict`, for content that is stored as an image instead of files. */
function assertNotStrict({ settings }: Migration, partition: number | null, reason: string): void {
  if (!settings.strict) return;
  throw new SnapError('UNREADABLE', `${nameOfPart(partition)} cannot be archived as files: ${reason}`, {
    hint: 'omit --strict to store it as an image, or use --dd to store the whole disk as one',
  });
}

/** Reports that a partition, or (`null`) the whole disk, is stored as an image. */
function keepRaw({ snapshot, services }: Migration, partition: number | null, reason: string): void {
  services.host.notify({ code: 'partition.raw', snapshot: snapshot.id, partition, reason });
}

type OfPartition = Pick<ManifestObject, 'partition'>;
const byPartition = (one: OfPartition, other: OfPartition): number => (one.partition ?? 0) - (other.partition ?? 0);

/** A partition, or the whole disk. */
interface Part {
  number: number | null;
  device: string;
  /** Its size in bytes. */
  size: number;
}

/** Stores files if the partition can be mounted, records swap, and stores anything else as an image. Reports each case. */
async function storePartition(migration: Migration, part: Part): Promise<StoredPart> {
  const { number, device, size } = part;
  const found = await probe(device, migration.signal);
  const treatment = await treatmentOn(device, found, migration.signal);
  if (treatment.how === 'record') return record(migration, part, found, treatment.reason);
  const before = sectorsWritten(device);
  const known = migration.asImages.get(number);
  const { obstacle, names } = await lookBeforeMounting(known, treatment, device, migration.signal);
  const files: StoredFiles =
    obstacle === null ? await storeFiles(migration, { ...part, found, names }) : { kind: 'refused', reason: obstacle };
  if (files.kind === 'object') return files;
  const { reason } = files;
  if (treatment.how === 'mount' || found.isContradictory) assertNotStrict(migration, number, reason);
  if (obstacle === null && sectorsWritten(device) !== before) throw new FreshDiskNeeded(number, reason);
  keepRaw(migration, number, reason);
  const content: Content = { kind: 'device', device, expectedBytes: size };
  const { object } = await storeContent(migration, number, found, content);
  return { kind: 'object', object };
}

function record({ snapshot, services }: Migration, part: Part, found: Probe, reason: string): StoredPart {
  const { number, device, size } = part;
  const { type: filesystem, uuid, label } = found;
  const geometry = readGeometry(filesystem ?? '', device);
  services.host.notify({ code: 'partition.recorded', snapshot: snapshot.id, partition: number, reason });
  return { kind: 'recorded', recorded: { partition: number, filesystem, uuid, label, geometry, bytes: size, reason } };
}

/** Examines a partition before it is mounted. @param known why it needs an image, according to an earlier attempt. */
async function lookBeforeMounting(
  known: string | undefined,
  treatment: Exclude<Treatment, { how: 'record' }>,
  device: string,
  signal: AbortSignal,
): Promise<FilesystemSurvey> {
  if (known !== undefined) return { obstacle: known, names: null };
  if (treatment.how === 'raw') return { obstacle: treatment.reason, names: null };
  return surveyFilesystem(treatment.type, device, signal);
}

/** A partition whose filesystem can be archived as files. */
interface ReadablePart extends Part, Pick<FilesystemSurvey, 'names'> {
  found: Probe;
}

type StoredFiles = Extract<StoredPart, { kind: 'object' }> | { kind: 'refused'; reason: string };

/** @returns `refused` if the filesystem cannot be mounted, or a file cannot be read. */
async function storeFiles(
  migration: Migration,
  { number, device, size, found, names }: ReadablePart,
): Promise<StoredFiles> {
  const { snapshot, settings, services, signal } = migration;
  const directory = mountDirectory(snapshot.id, number, settings, services);
  const filesystem = found.type ?? '';
  try {
    await using mount = await mountReadOnly(device, filesystem, directory, { replay: settings.replayJournals, signal });
    using _held = services.host.hold({ what: `mount at ${directory}`, cleanupCommand: `umount ${directory}` });
    services.host.notify({
      code: 'partition.mounted',
      snapshot: snapshot.id,
      partition: number,
      filesystem,
      mountPoint: directory,
      helper: mount.helper,
    });
    const space = await spaceOf(mount.path, device, size);
    const known = { ...found, geometry: readGeometry(filesystem, device) };
    const damageSince = watchForDamage(filesystem, device);
    const damage = (members: number | null) =>
      damageSince() ?? (members === null ? null : missingNames(names, members));
    const content: Content = { kind: 'files', directory: mount.path, expectedBytes: space.usedBytes, damage };
    const mounted = { type: filesystem, device, root: mount.path, partition: number };
    const store = async () => (await storeContent(migration, number, known, content)).object;
    const object = await noteObstacle(await countingNotKept(mounted, migration, store), space, migration);
    return { kind: 'object', object };
  } catch (error) {
    const isOfFilesystem = error instanceof SnapError && ['MOUNT_REFUSED', 'UNREADABLE'].includes(error.code);
    if (isOfFilesystem) return { kind: 'refused', reason: error.message };
    throw error;
  }
}

/**
 * The space that the filesystem reports as used. It approximates the length of the tar without reading the tree, which
 * would be slow on a new volume. Some helpers do not report it; then it is the size of the device.
 */
async function spaceOf(directory: string, device: string, size: number): Promise<Space> {
  const { blocks, bfree, bsize } = await statfs(directory);
  if (blocks === 0) return { size, usedBytes: deviceSize(device), roomBytes: null };
  return { size, usedBytes: (blocks - bfree) * bsize, roomBytes: blocks * bsize };
}
