/** Restores the content of one partition to a new volume. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SnapError } from '../../../errors.ts';
import { copyToFat } from '../../../host/filesystems/fill-fat.ts';
import { makeFilesystem, type WantedFilesystem } from '../../../host/filesystems/make-filesystem.ts';
import { isMounted, type Mount, mountWritable } from '../../../host/filesystems/mounts.ts';
import { treeDirectory } from '../../../host/remove-tree.ts';
import { restoreMountName } from '../../../host/volumes/volume-marks.ts';
import { minutes, monotonic } from '../../../lib/clock.ts';
import { runTool } from '../../../transfer/run-tool.ts';
import type { ArchivedObject } from '../../reading/find-archive.ts';
import { imageIndexOf } from '../../reading/index/image-index.ts';
import type { NeededPack } from '../../reading/point/needed-packs.ts';
import type { OpenPoint } from '../../reading/point/open-point.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { RestoreSettings } from '../../shared/settings/restore.ts';
import { clearDirectory } from '../files/restore-directory.ts';
import { restoreTar } from '../files/restore-tar.ts';
import { holdDevice } from '../image/restore-target.ts';
import { writeImage } from '../image/write-image.ts';
import { writePoint } from '../point/write-point.ts';
import type { PartitionFill } from './plan-volume.ts';

export interface FillOrder {
  snapshotId: string;
  volumeId: string;
  mountPoint: string;
  settings: RestoreSettings;
}

/** @throws SnapError `TARGET`, `DIFFERS`, and the errors of `writeObject`. */
export async function fillPartition(
  { partition, content }: PartitionFill,
  device: string,
  order: FillOrder,
  check: ReadContext,
): Promise<void> {
  if (content.how === 'image') return fillWithImage(content.object, device, order, check);
  if (content.how === 'point') return fillWithPoint(content, device, order, check);
  const simplification = await makeFilesystem(device, content.filesystem, check.signal);
  if (simplification) {
    const { snapshotId: snapshot, volumeId: volume } = order;
    const filesystem = content.filesystem.type;
    const number = partition?.number ?? null;
    check.host.notify({
      code: 'filesystem.simplified',
      snapshot,
      volume,
      partition: number,
      filesystem,
      ...simplification,
    });
  }
  if (content.how === 'swap') return;
  const number = partition === null ? '' : `-${partition.number}`;
  const directory = join(order.mountPoint, `${restoreMountName(order.volumeId)}${number}`);
  await fillWithFiles(content, device, directory, order, check);
}

async function fillWithImage(
  object: ArchivedObject,
  device: string,
  { snapshotId, volumeId, settings }: FillOrder,
  check: ReadContext,
): Promise<void> {
  const started = monotonic();
  await using target = holdDevice(device, volumeId, 'the unfinished volume is deleted');
  const index = settings.useIndex ? await imageIndexOf(object, snapshotId, check) : null;
  const written = await writeImage({ object, snapshotId, target, check }, index);
  check.host.notify({
    code: 'object.restored',
    snapshot: snapshotId,
    key: object.key,
    target: volumeId,
    files: null,
    ...written,
    seconds: (monotonic() - started) / 1000,
  });
}

async function fillWithPoint(
  { opened, packs }: { opened: OpenPoint; packs: readonly NeededPack[] },
  device: string,
  { snapshotId: snapshot, volumeId }: FillOrder,
  check: ReadContext,
): Promise<void> {
  const started = monotonic();
  await using target = holdDevice(device, volumeId, 'the unfinished volume is deleted');
  const written = await writePoint({ opened, packs, target, check, onPack: () => {} });
  const seconds = (monotonic() - started) / 1000;
  const { key } = opened.point;
  check.host.notify({ code: 'object.restored', snapshot, key, target: volumeId, files: null, ...written, seconds });
}

async function fillWithFiles(
  { object, filesystem: { type } }: { object: ArchivedObject; filesystem: WantedFilesystem },
  device: string,
  directory: string,
  order: FillOrder,
  check: ReadContext,
): Promise<void> {
  const mount = await mountOrNot(device, type, directory, check.signal);
  if (mount === null) return fillFatByCopy(object, device, order, check);
  await using mounted = mount;
  using _held = check.host.hold({ what: `mount at ${directory}`, cleanupCommand: `umount ${directory}` });
  await extract(object, mounted.path, type === 'vfat', order, check);
  // Reports write errors here, because unmounting does not report them.
  await runTool(['sync', '--file-system', mounted.path], { signal: check.signal, within: minutes(60) });
}

/** @returns `null` for FAT if the kernel does not support it. */
async function mountOrNot(device: string, type: string, directory: string, signal: AbortSignal): Promise<Mount | null> {
  try {
    return await mountWritable(device, type, directory, signal);
  } catch (error) {
    const isUnknown = error instanceof SnapError && error.code === 'MOUNT_REFUSED' && !isMounted(directory);
    if (type === 'vfat' && isUnknown) return null;
    throw error;
  }
}

async function fillFatByCopy(
  object: ArchivedObject,
  device: string,
  order: FillOrder,
  check: ReadContext,
): Promise<void> {
  await using staging = treeDirectory(tmpdir());
  await extract(object, staging.path, true, order, check);
  await copyToFat(staging.path, device, check.signal);
}

/** Root can fill the filesystem to the last block, so the plain bytes of the tar are the limit. */
async function extract(
  object: ArchivedObject,
  path: string,
  isCaseInsensitive: boolean,
  { snapshotId, settings }: FillOrder,
  check: ReadContext,
): Promise<void> {
  const files = { kind: 'directory' as const, path, paths: null, isPrivileged: true };
  const maxBytes = object.facts?.plainBytes ?? 0;
  const clear = (signal: AbortSignal) => clearDirectory(path, signal);
  const directory = { isResumed: false, isCaseInsensitive, ownNames: [], maxBytes, isKept: false, clear };
  await restoreTar({ snapshotId, object }, files, directory, { useIndex: settings.useIndex, chosen: null }, check);
}
