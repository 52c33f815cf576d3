/** The disk of a snapshot, stored partition by partition, or as one image. */
import { statfs } from 'node:fs/promises';
import type { ManifestObject } from '../../archive/manifest.ts';
import { nameOfPart } from '../../archive/partition-facts.ts';
import { SnapError } from '../../errors.ts';
import { deviceSize, sectorsWritten } from '../../host/devices/block-devices.ts';
import { notKeptOutside } from '../../host/disks/outside-partitions.ts';
import { openPartition } from '../../host/disks/partition-device.ts';
import { readGeometry } from '../../host/filesystems/filesystem-geometry.ts';
import { missingNames, surveyFilesystem } from '../../host/filesystems/filesystem-obstacles.ts';
import { type Probe, probe, type Treatment, treatmentOf } from '../../host/filesystems/filesystems.ts';
import { kernelErrors } from '../../host/filesystems/kernel-errors.ts';
import { mountReadOnly } from '../../host/filesystems/mounts.ts';
import type { FilesystemSurvey } from '../../host/filesystems/survey.ts';
import { inParallel } from '../../lib/parallel.ts';
import { noteObstacle, noteTableObstacle, type Space } from '../restore/volume-obstacle.ts';
import { mountDirectory } from '../source/mount-directory.ts';
import { type ArchiveDraft, FreshDiskNeeded, type Migration } from './migration.ts';
import { countingNotKept, reportNotKept } from './note-not-kept.ts';
import type { Content } from './object/object-order.ts';
import { addObject, storeContent, UNKNOWN } from './store-content.ts';

/** Stores one image of the whole disk. */
export async function storeDisk(migration: Migration, draft: ArchiveDraft): Promise<void> {
  const content: Content = { layout: 'image', device: draft.device.path, expectedBytes: draft.device.size };
  await addObject(migration, draft, await storeContent(migration, null, UNKNOWN, content));
}

/** Stores each partition as files where that loses nothing, else as an image. */
export async function storePartitions(migration: Migration, draft: ArchiveDraft): Promise<void> {
  const { device, table } = draft;
  const { snapshot, settings, services } = migration;
  if (table.doubt !== null) {
    assertNotStrict(migration, null, table.doubt);
    keepRaw(migration, null, table.doubt);
    await storeDisk(migration, draft);
    return;
  }
  for (const partition of table.beyondEnd)
    services.host.notify({ code: 'partition.recorded', snapshot: snapshot.id, partition, reason: BEYOND_END });
  if (table.kind === 'none') {
    await storePartition(migration, draft, null, device.path, device.size);
    return;
  }
  await noteTable(migration, draft);
  const most = settings.concurrentPartitions;
  await inParallel(table.partitions, most, migration.signal, async (partition, signal) => {
    await using opened = await openPartition(device.path, partition, signal);
    await storePartition({ ...migration, signal }, draft, partition.number, opened.path, partition.size);
  });
  draft.objects.sort(byPartition);
  draft.recorded.sort(byPartition);
}

/** What the partitions and the manifest do not hold of the disk, and whether a new one can be partitioned like it. */
async function noteTable(migration: Migration, draft: ArchiveDraft): Promise<void> {
  const { device, table } = draft;
  draft.notKept = await notKeptOutside(device.path, table, migration.signal);
  reportNotKept(null, draft.notKept, '--dd keeps everything', migration);
  draft.volumeObstacle = await noteTableObstacle(draft, migration);
}

const BEYOND_END = 'it starts beyond the end of the disk';

/** @throws SnapError `UNREADABLE` for what holds files that cannot be archived as such. */
function assertNotStrict({ settings }: Migration, partition: number | null, reason: string): void {
  if (!settings.strict) return;
  throw new SnapError('UNREADABLE', `${nameOfPart(partition)} cannot be archived as files: ${reason}`, {
    hint: 'omit --strict to store it as an image, or use --dd to store the whole disk as one',
  });
}

/** Tells that a partition, or (`null`) the whole disk, is kept bit by bit. */
function keepRaw({ snapshot, services }: Migration, partition: number | null, reason: string): void {
  services.host.notify({ code: 'partition.raw', snapshot: snapshot.id, partition, reason });
}

type OfPartition = Pick<ManifestObject, 'partition'>;
const byPartition = (one: OfPartition, other: OfPartition): number => (one.partition ?? 0) - (other.partition ?? 0);

/** Mounts and tars what can be mounted; records swap; keeps anything else bit by bit. Nothing is dropped silently. */
async function storePartition(
  migration: Migration,
  draft: ArchiveDraft,
  number: number | null,
  device: string,
  size: number,
): Promise<void> {
  const { snapshot, services, signal } = migration;
  const found = await probe(device, signal);
  const treatment = treatmentOf(found);
  if (treatment.how === 'record') {
    const { type: filesystem, uuid, label } = found;
    services.host.notify({
      code: 'partition.recorded',
      snapshot: snapshot.id,
      partition: number,
      reason: treatment.reason,
    });
    draft.recorded.push({ partition: number, filesystem, uuid, label, bytes: size, reason: treatment.reason });
    return;
  }
  const before = sectorsWritten(device);
  const { obstacle, names } = await lookBeforeMounting(migration.asImages.get(number), treatment, device, signal);
  const stored = obstacle ?? (await storeFiles(migration, { number, device, size, found, names }));
  if (typeof stored === 'object') {
    return addObject(migration, draft, stored);
  }
  if (treatment.how === 'mount' || found.isContradictory) assertNotStrict(migration, number, stored);
  if (obstacle === null && sectorsWritten(device) !== before) throw new FreshDiskNeeded(number, stored);
  keepRaw(migration, number, stored);
  const content: Content = { layout: 'image', device, expectedBytes: size };
  await addObject(migration, draft, await storeContent(migration, number, found, content));
}

/** What was found before anything was mounted. @param known why it needs an image, as an earlier attempt found out. */
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

/** A partition, or (`null`) the disk, whose filesystem can be archived as files. */
interface ReadablePartition extends Pick<FilesystemSurvey, 'names'> {
  number: number | null;
  device: string;
  /** Bytes. */
  size: number;
  found: Probe;
}

/** @returns the stored object, or why the filesystem cannot be mounted, or which file cannot be read. */
async function storeFiles(
  migration: Migration,
  { number, device, size, found, names }: ReadablePartition,
): Promise<ManifestObject | string> {
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
    const before = kernelErrors(device);
    const damage = (members: number | null) => {
      if (kernelErrors(device) !== before) return `${filesystem} is damaged; see dmesg`;
      return members === null ? null : missingNames(names, members);
    };
    const content: Content = { layout: 'tar', directory: mount.path, expectedBytes: space.usedBytes, damage };
    const mounted = { type: filesystem, device, root: mount.path, partition: number };
    const store = () => storeContent(migration, number, known, content);
    return await noteObstacle(await countingNotKept(mounted, migration, store), space, migration);
  } catch (error) {
    const isOfFilesystem = error instanceof SnapError && ['MOUNT_REFUSED', 'UNREADABLE'].includes(error.code);
    if (isOfFilesystem) return error.message;
    throw error;
  }
}

/**
 * What the filesystem says is in use: close to the length of its tar, without walking a tree that is still loading. Some
 * helpers say nothing; then it is all of the device.
 */
async function spaceOf(directory: string, device: string, size: number): Promise<Space> {
  const { blocks, bfree, bsize } = await statfs(directory);
  if (blocks === 0) return { size, usedBytes: deviceSize(device), roomBytes: null };
  return { size, usedBytes: (blocks - bfree) * bsize, roomBytes: blocks * bsize };
}
