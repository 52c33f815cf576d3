/**
 * Restores files out of an image: a process serves the blocks that are needed as a disk, whose filesystems are mounted
 * read-only, and the files are copied from there.
 */
import { join } from 'node:path';
import { SnapError } from '../../../errors.ts';
import { requireTools } from '../../../host/tools.ts';
import { assertFuse, type ServedDisk, serveDisk } from '../../../host/volumes/served-disk.ts';
import { monotonic } from '../../../lib/clock.ts';
import { rootFailure } from '../../../lib/disposal.ts';
import type { Archive, ArchivedObject } from '../../reading/find-archive.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { requireRoot, toolsForFiles } from '../../shared/preflight.ts';
import type { Services } from '../../shared/services.ts';
import type { FilesOrder, RestoreSettings } from '../../shared/settings/restore.ts';
import { makeReadable, offerThaw, type ThawServices } from '../../thaw/thaw.ts';
import { assertAllFound } from '../files/plan-files.ts';
import {
  examineDirectory,
  type FoundDirectory,
  mayBeUnfinished,
  openDirectory,
  type RestoredObject,
  type TargetDirectory,
} from '../files/restore-directory.ts';
import { assertAllRestored, reportIncomplete } from '../files/restore-tar.ts';
import { isPoint } from '../point/plan-point.ts';
import { diskOfImage, diskOfPoint, type FoundDisk, findObjects } from './archived-disk.ts';
import { type Copied, copyFiles } from './copy-files.ts';
import { type FoundPaths, findPaths } from './find-paths.ts';
import { type MountedPart, mountParts } from './mount-parts.ts';

/** Whether the archive, or the selected partition of it, contains no tar but an image. */
export function isInImage({ objects, point }: Archive, { partition }: Pick<RestoreSettings, 'partition'>): boolean {
  if (point) return true;
  const isOf = (object: ArchivedObject) => partition === null || object.partition === partition;
  return !objects.some((object) => object.layout === 'tar' && isOf(object)) && imagesOf(objects, partition).length > 0;
}

const imagesOf = (objects: readonly ArchivedObject[], partition: number | null): ArchivedObject[] =>
  objects.filter(
    (object) =>
      object.layout === 'image' && (partition === null || object.partition === null || object.partition === partition),
  );

/**
 * Restores the files of one filesystem to the directory itself, and those of several partitions to subdirectories with their
 * numbers, as `restoreFiles` does. With `dryRun`, only shows what would be restored.
 * @throws SnapError `NOT_SUPPORTED_HERE`, `TOOL_MISSING`, `NOT_FOUND`, `TARGET`, `DIFFERS` if a block that is needed differs,
 *   and the errors of `makeReadable` and `mountParts`.
 */
export async function restoreMounted(
  archive: Archive,
  order: FilesOrder,
  settings: RestoreSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  requireMounting(settings, services);
  const { downloadStreams: streams, sessionKey } = settings;
  const check: ReadContext = { ...services, signal, streams, sessionKey };
  const image = isPoint(archive) ? null : onlyImage(archive, settings);
  const room = examineDirectory(order.path, archive.snapshotId, { key: '', facts: null }, mayFill(order, settings));
  const stored = isPoint(archive)
    ? await diskOfPoint(archive, check)
    : image && (await diskOfImage(image, archive.snapshotId, check));
  if (!stored) throw new SnapError('BUG', 'there is neither a point nor an image');
  const disk = await findObjects(stored, check);
  if (settings.dryRun) return showPlan(disk, room, settings, { ...services, signal });
  const keys = disk.objects.map(({ object }) => object.key);
  await makeReadable(disk.snapshotId, keys, settings.thaw, { ...services, signal });
  using locks = new DisposableStack();
  const job = { disk, order, settings, services, locks };
  const copied = await withServed(job, signal, (served, working) => copyParts(job, served, working));
  for (const part of copied) await finishPart(part, job);
  const missing = copied.map(({ found }) => found?.missing ?? []);
  assertAllFound(disk.snapshotId, order.paths, missing, 'all other requested paths are restored');
}

/** @throws SnapError `NOT_SUPPORTED_HERE`, `TOOL_MISSING`, `USAGE` */
function requireMounting({ useIndex }: RestoreSettings, { searchPath }: Services): void {
  if (!useIndex)
    throw new SnapError('USAGE', 'files cannot be read out of an image with --no-index', {
      hint: 'omit --no-index, or restore the image with --to-file',
    });
  requireRoot();
  assertFuse('restoring files from an image requires', 'restore the image with --to-file');
  requireTools(['blkid', 'sfdisk', ...toolsForFiles('direct')], searchPath);
}

/** @throws SnapError `NOT_FOUND` if there are several. */
function onlyImage({ objects, snapshotId }: Archive, { partition }: RestoreSettings): ArchivedObject | null {
  const [first, ...others] = imagesOf(objects, partition);
  if (others.length === 0) return first ?? null;
  throw new SnapError('NOT_FOUND', `the archive of ${snapshotId} contains ${others.length + 1} images and no files`, {
    hint: 'select one of them with --partition',
  });
}

/** Which partitions there are is known only later. The directory of each of them is examined again before it is filled. */
const mayFill = ({ path }: FilesOrder, { overwrite }: RestoreSettings): boolean => overwrite || mayBeUnfinished(path);

async function showPlan(
  disk: FoundDisk,
  room: FoundDirectory,
  settings: RestoreSettings,
  services: ThawServices,
): Promise<void> {
  const { snapshotId, heads } = disk;
  const objects = disk.objects.map(({ object, fetchBytes, plainBytes }, at) => {
    const { storageClass = '', bytes: storedBytes = 0, restore: retrieval = 'not-needed' } = heads[at] ?? {};
    const { key, partition, layout } = object;
    return { key, partition, layout, to: room.path, storageClass, retrieval, storedBytes, fetchBytes, plainBytes };
  });
  const frozen = heads.filter(({ restore }) => restore === 'needed');
  if (frozen.length > 0) await offerThaw(snapshotId, frozen, settings.thaw, services);
  const rooms = [{ where: room.path, neededBytes: null, roomBytes: room.freeBytes, holds: null }];
  services.host.notify({
    code: 'restore.planned',
    snapshot: snapshotId,
    plan: { target: 'directory', objects, rooms },
  });
}

interface Job {
  disk: FoundDisk;
  order: FilesOrder;
  settings: RestoreSettings;
  services: Services;
  /** Receives the directories, which stay locked until all of them are complete. */
  locks: DisposableStack;
}

/**
 * Serves the disk during the work. A block that could not be read fails the work, even if nothing else has noticed it.
 * @throws SnapError why a block could not be read; otherwise what the work throws.
 */
async function withServed<T>(
  { disk, order, settings, services }: Job,
  signal: AbortSignal,
  work: (served: ServedDisk, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { host, bucketAccess: access } = services;
  const { snapshotId, bytes: size, places } = disk;
  const inFlight = settings.downloadStreams;
  let failed: AbortSignal | null = null;
  let result: T;
  try {
    const source = { kind: 'archive', access, places } as const;
    await using served = await serveDisk({ snapshotId, size, inFlight, source, host, signal });
    failed = served.failed;
    const expectedBytes = order.paths === null ? disk.objects.reduce((sum, { fetchBytes }) => sum + fetchBytes, 0) : 0;
    using _shown = host.track({ label: disk.key, expectedBytes, read: served.fetchedBytes, stored: null });
    result = await work(served, AbortSignal.any([signal, failed]));
  } catch (error) {
    if (signal.aborted || !failed?.aborted) throw error;
    const { cleanupFailures } = rootFailure(error);
    throw cleanupFailures.reduce((failure, cleanup) => new SuppressedError(cleanup, failure), failed.reason as unknown);
  }
  failed.throwIfAborted();
  return result;
}

interface PartToCopy {
  part: MountedPart;
  /** `null` for all files. */
  found: FoundPaths | null;
  path: string;
  /** What the marker of the directory names: another partition of the same image is something else. */
  object: RestoredObject;
}

interface CopiedPart extends PartToCopy, Copied {
  directory: TargetDirectory;
  fetchedBytes: number;
  seconds: number;
}

/** @throws SnapError as `restoreMounted` does. */
async function copyParts(job: Job, served: ServedDisk, signal: AbortSignal): Promise<CopiedPart[]> {
  const { disk, settings, services } = job;
  await using mounts = new AsyncDisposableStack();
  const mounting = {
    disk,
    partition: settings.partition,
    host: services.host,
    searchPath: services.searchPath,
    signal,
  };
  const parts = await mountParts(served, mounting, mounts);
  const wanted = await choosePaths(parts, job, signal);
  for (const { path, object } of wanted) examineDirectory(path, disk.snapshotId, object, settings.overwrite);
  const copied: CopiedPart[] = [];
  let before = 0;
  for (const part of wanted) {
    const one = await copyPart(part, job, signal);
    copied.push({ ...one, fetchedBytes: served.fetchedBytes() - before });
    before = served.fetchedBytes();
  }
  return copied;
}

/** Leaves out partitions that have none of the requested paths. @throws SnapError `NOT_FOUND` if none has one. */
async function choosePaths(
  parts: readonly MountedPart[],
  { disk, order }: Job,
  signal: AbortSignal,
): Promise<PartToCopy[]> {
  const chosen: PartToCopy[] = [];
  for (const part of parts) {
    const found = order.paths && (await findPaths(part, order.paths, signal));
    const path = parts.length === 1 ? order.path : join(order.path, String(part.number));
    const key = part.number === disk.partition ? disk.key : `${disk.key} partition ${part.number}`;
    if (found?.wanted.length !== 0) chosen.push({ part, found, path, object: { key, facts: null } });
  }
  if (chosen.length === 0)
    assertAllFound(disk.snapshotId, order.paths, [[...(order.paths ?? [])]], 'nothing was restored');
  return chosen;
}

async function copyPart(
  wanted: PartToCopy,
  { disk, order, settings, locks }: Job,
  signal: AbortSignal,
): Promise<Omit<CopiedPart, 'fetchedBytes'>> {
  const started = monotonic();
  const { part, found, path, object } = wanted;
  const directory = locks.use(await openDirectory(path, disk.snapshotId, object, settings.overwrite));
  const copying = { key: object.key, part, found, order: { ...order, path }, directory };
  const copied = await copyFiles(copying, signal);
  assertAllRestored({ key: disk.key, isAsStored: true, ...copied.findings }, path, directory, false);
  return { ...wanted, ...copied, directory, seconds: (monotonic() - started) / 1000 };
}

/** Reports what was restored. Call it when it is certain that every block that was read was right. */
async function finishPart(copied: CopiedPart, { disk, services: { host } }: Job): Promise<void> {
  const { findings, messages, path: target, directory, fetchedBytes, seconds } = copied;
  const { snapshotId: snapshot, key } = disk;
  await directory.finish();
  if (findings.leftOut) reportIncomplete({ key, leftOut: findings.leftOut }, snapshot, target, messages, host);
  const { files, contentBytes: bytes } = findings;
  const restored = { snapshot, key, target, bytes, files, fetchedBytes, seconds, verified: 'blocks' } as const;
  host.notify({ code: 'object.restored', ...restored });
}
