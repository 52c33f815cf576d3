/** Restores an image to a file, to a block device, or to a new snapshot. */
import type { ImageIndex } from '../../../archive/block-table.ts';
import type { NewSnapshot } from '../../../cloud/blocks.ts';
import { SnapError } from '../../../errors.ts';
import { monotonic } from '../../../lib/clock.ts';
import type { Archive, ArchivedObject } from '../../reading/find-archive.ts';
import { type ImageSize, sizeOfImage } from '../../reading/image-size.ts';
import { imageIndexOf } from '../../reading/index/image-index.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { Services } from '../../shared/services.ts';
import type { DeviceTarget, FilesOrder, RestoreSettings, VolumeTarget } from '../../shared/settings/restore.ts';
import { makeReadable } from '../../thaw/thaw.ts';
import { finishSnapshot } from '../snapshot/complete-snapshot.ts';
import { orderFor, restoreToSnapshot, wantedSnapshot } from '../snapshot/restore-snapshot.ts';
import { examineTarget, type FoundTarget, openTarget } from './restore-target.ts';
import { writeImage } from './write-image.ts';

export type ImageSettings = RestoreSettings & { target: Exclude<RestoreSettings['target'], FilesOrder | VolumeTarget> };

/** The plan of the restore, before anything is written. */
export interface ImagePlanned {
  object: ArchivedObject;
  index: ImageIndex | null;
  size: ImageSize;
  /** The new snapshot to create; `null` for another target. */
  wanted: NewSnapshot | null;
  /** The file or device; `null` for another target. */
  found: FoundTarget | null;
}

/**
 * If the data differs from the archive, no image remains.
 * @throws SnapError `DIFFERS`, `NOT_FOUND`, `TARGET`, and the errors of `makeReadable` and `writeObject`.
 */
export async function restoreImage(
  archive: Archive,
  settings: ImageSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const started = monotonic();
  const { snapshotId } = archive;
  const check: ReadContext = {
    ...services,
    signal,
    streams: settings.downloadStreams,
    sessionKey: settings.sessionKey,
  };
  const plan = await planImage(archive, settings, check);
  const { object } = plan;
  if (settings.target.kind === 'device' && plan.found) await requireConsent(settings.target, plan.found, signal);
  const written =
    (await finishWritten(snapshotId, plan, services, signal)) ??
    (await writeTo(snapshotId, plan, settings, services, check));
  services.host.notify({
    code: 'object.restored',
    snapshot: snapshotId,
    key: object.key,
    target: written.target,
    bytes: written.bytes,
    files: null,
    fetchedBytes: written.fetchedBytes,
    seconds: (monotonic() - started) / 1000,
  });
}

/** Writes nothing, and does not prompt. @throws SnapError `NOT_FOUND`, `TARGET`, `DIFFERS`, `GPG_KEY` */
export async function planImage(
  archive: Archive,
  { target, ...settings }: ImageSettings,
  check: ReadContext,
): Promise<ImagePlanned> {
  const object = chooseImage(archive, target.kind, settings);
  const index = settings.useIndex ? await imageIndexOf(object, archive.snapshotId, check) : null;
  const size = await sizeOfImage(archive, object, index?.table ?? null, check);
  if (target.kind === 'snapshot') {
    const wanted = await wantedSnapshot(archive, size, target, settings, check);
    return { object, index, size, wanted, found: null };
  }
  const found = await examineTarget(target, settings.overwrite, size, check.signal);
  return { object, index, size, wanted: null, found };
}

/** @throws SnapError `TARGET` if the user does not confirm that the content of the device is destroyed. */
export async function requireConsent(
  { path, consent }: DeviceTarget,
  { roomBytes, holds }: FoundTarget,
  signal: AbortSignal,
) {
  if (await consent({ path, bytes: roomBytes, holds })) return;
  signal.throwIfAborted();
  throw new SnapError('TARGET', `${path} was not written: not confirmed`, {
    hint: `check the device with lsblk ${path}; with --yes, restore does not ask`,
  });
}

export interface Written {
  target: string;
  bytes: number;
  fetchedBytes: number;
}

/** Needs no thawed object. @returns `null` unless an interrupted run has written all of a new snapshot. */
async function finishWritten(
  snapshotId: string,
  { object, index, wanted }: ImagePlanned,
  services: Services,
  signal: AbortSignal,
): Promise<Written | null> {
  const order = wanted && orderFor({ snapshotId, object, index, wanted });
  const finished = order && (await finishSnapshot(order, services, signal));
  return finished && { ...finished, target: finished.id };
}

async function writeTo(
  snapshotId: string,
  { object, index, size, wanted }: ImagePlanned,
  { target, overwrite, thaw }: ImageSettings,
  services: Services,
  check: ReadContext,
): Promise<Written> {
  await makeReadable(snapshotId, [object.key], thaw, { ...services, signal: check.signal });
  if (target.kind === 'snapshot') {
    if (!wanted) throw new SnapError('BUG', 'the plan of the restore has no new snapshot');
    const { id, ...written } = await restoreToSnapshot({ snapshotId, object, index, wanted }, services, check);
    return { target: id, ...written };
  }
  await using opened = await openTarget(target, overwrite, size, check.signal);
  const written = await writeImage({ object, snapshotId, target: opened, check }, index);
  await opened.keep();
  return { target: target.path, ...written };
}

/** The image of the whole disk, or of one partition. @throws SnapError `NOT_FOUND` if there is none. */
function chooseImage(
  { objects, snapshotId }: Archive,
  target: ImageSettings['target']['kind'],
  { partition }: Pick<RestoreSettings, 'partition'>,
): ArchivedObject {
  const found = objects.find((object) => object.partition === partition);
  if (found?.layout === 'image') return found;
  const what = partition === null ? 'the whole disk' : `partition ${partition}`;
  const images = objects.filter(({ layout }) => layout === 'image').map((object) => object.partition ?? 'the disk');
  throw new SnapError('NOT_FOUND', `the archive of ${snapshotId} has no image of ${what}`, {
    hint:
      images.length > 0
        ? `it contains images of: ${images.join(', ')}; select one with --partition`
        : target === 'snapshot'
          ? 'it contains files: restore the disk with --to-volume and create a snapshot of the volume, or restore the files with --to-dir'
          : 'it contains files: restore the files with --to-dir, or the disk with --to-volume',
  });
}
