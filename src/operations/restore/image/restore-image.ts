/** Images given back: to a file, a device, or a new snapshot. */
import type { ImageIndex } from '../../../archive/block-table.ts';
import type { NewSnapshot } from '../../../cloud/blocks.ts';
import { SnapError } from '../../../errors.ts';
import { monotonic } from '../../../lib/clock.ts';
import type { Archive, ArchivedObject } from '../../reading/find-archive.ts';
import { imageIndexOf } from '../../reading/image-index.ts';
import { type ImageSize, sizeOfImage } from '../../reading/image-size.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { Services } from '../../shared/services.ts';
import type { DeviceTarget, FilesOrder, RestoreSettings, VolumeTarget } from '../../shared/settings/restore.ts';
import { makeReadable } from '../../thaw/thaw.ts';
import { restoreToSnapshot, wantedSnapshot } from '../snapshot/restore-snapshot.ts';
import { type FoundTarget, lookAtTarget, openTarget } from './restore-target.ts';
import { writeImage } from './write-image.ts';

export type ImageSettings = RestoreSettings & { target: Exclude<RestoreSettings['target'], FilesOrder | VolumeTarget> };

/** What is known before anything is written. */
export interface ImagePlanned {
  object: ArchivedObject;
  index: ImageIndex | null;
  size: ImageSize;
  /** The new snapshot, where it is one; else `null`. */
  wanted: NewSnapshot | null;
  /** The file or the device, where it is one; else `null`. */
  found: FoundTarget | null;
}

/** @throws SnapError `DIFFERS`: then no image is left; `NOT_FOUND`, `TARGET`, and what `writeObject` throws. */
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
  if (settings.target.kind === 'device' && plan.found) await askFor(settings.target, plan.found, signal);
  await makeReadable(snapshotId, [object.key], settings.thaw, { ...services, signal });
  const given = await giveTo(snapshotId, plan, settings, services, check);
  services.host.notify({
    code: 'object.restored',
    snapshot: snapshotId,
    key: object.key,
    target: given.target,
    bytes: given.bytes,
    files: null,
    fetchedBytes: given.fetchedBytes,
    seconds: (monotonic() - started) / 1000,
  });
}

/** @throws SnapError `NOT_FOUND`, `TARGET`, `MANIFEST`, `GPG_KEY`: nothing is written, or asked for. */
export async function planImage(
  archive: Archive,
  { target, ...settings }: ImageSettings,
  check: ReadContext,
): Promise<ImagePlanned> {
  const object = chooseImage(archive, target.kind, settings);
  const index = settings.useIndex ? await imageIndexOf(object, check) : null;
  const size = await sizeOfImage(archive, object, index?.table ?? null, check);
  if (target.kind === 'snapshot') {
    const wanted = await wantedSnapshot(archive, size, target, settings, check);
    return { object, index, size, wanted, found: null };
  }
  const found = await lookAtTarget(target, settings.overwrite, size, check.signal);
  return { object, index, size, wanted: null, found };
}

async function askFor({ path, consent }: DeviceTarget, { roomBytes, holds }: FoundTarget, signal: AbortSignal) {
  if (await consent({ path, bytes: roomBytes, holds })) return;
  signal.throwIfAborted();
  throw new SnapError('TARGET', `${path} was not written to: not confirmed`, {
    hint: 'look at it with lsblk; --yes says so beforehand',
  });
}

async function giveTo(
  snapshotId: string,
  { object, index, size, wanted }: ImagePlanned,
  { target, overwrite }: ImageSettings,
  services: Services,
  check: ReadContext,
): Promise<{ target: string; bytes: number; fetchedBytes: number }> {
  if (target.kind === 'snapshot') {
    if (!wanted) throw new SnapError('BUG', 'nobody has said what the new snapshot is to be');
    const { id, ...made } = await restoreToSnapshot({ snapshotId, object, index, wanted }, services, check);
    return { target: id, ...made };
  }
  await using opened = await openTarget(target, overwrite, size, check.signal);
  const written = await writeImage({ object, snapshotId, target: opened, check }, index);
  await opened.keep();
  return { target: target.path, ...written };
}

/** The image of the whole disk, or that of one partition. @throws SnapError `USAGE`, `NOT_FOUND` */
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
        ? `it has images of: ${images.join(', ')} (--partition)`
        : target === 'snapshot'
          ? 'it holds files: restore the disk with --to-volume and make a snapshot of it, or the files with --to-dir'
          : 'it holds files: restore them with --to-dir, or the disk with --to-volume',
  });
}
