/** `restore`: an archive given back, every byte of it checked on the way. */

import { type ExitCode, SnapError } from '../errors.ts';
import { sweepKilledRuns } from '../host/killed-runs.ts';
import { requireTools } from '../host/tools.ts';
import { monotonic } from '../lib/clock.ts';
import { type CheckServices, imageIndexOf } from './check-object.ts';
import { type Archive, type ArchivedObject, findArchivesById, refuseTwins } from './find-archive.ts';
import { restoreFiles } from './restore-files.ts';
import { restoreToSnapshot } from './restore-snapshot.ts';
import { openTarget } from './restore-target.ts';
import { requireVolumes, restoreToVolume } from './restore-volume.ts';
import { runEach } from './run-each.ts';
import type { FilesOrder, RestoreSettings, Services, VolumeTarget } from './settings.ts';
import { makeReadable } from './thaw.ts';
import { untilNotice } from './until-notice.ts';
import { writeImage } from './write-image.ts';

/**
 * Writes the image of a disk or of a partition to a file, a device, or a new snapshot; files below a directory; or a
 * whole disk, of whichever it was made, to a new volume.
 * @returns `EXIT.ok`; `EXIT.differs` when what came is not what was archived: then no image is left.
 * @throws SnapError the reason, when nothing could be begun; `INTERRUPTED` when stopped.
 */
export async function restore(settings: RestoreSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  await sweepKilledRuns();
  requireTools(settings.target.kind === 'directory' ? ['mkfifo', 'tar'] : ['mkfifo'], services.searchPath);
  if (settings.target.kind === 'volume') await requireVolumes(services);
  await services.store.check({ signal });
  const { archives, missing } = await findArchivesById([settings.snapshotId], settings.prefix, services.store, signal);
  return untilNotice(services, signal, (running) =>
    runEach({
      command: 'restore',
      items: archives,
      concurrency: 1,
      idOf: ({ snapshotId }) => snapshotId,
      refused: missing,
      host: services.host,
      signal: running,
      work: async (archive) => {
        await restoreTo(archive, settings, services, running);
        return 'done';
      },
      mayBeFree: null,
    }),
  );
}

async function restoreTo(
  archive: Archive,
  settings: RestoreSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const { target } = settings;
  refuseTwins(archive);
  if (target.kind === 'directory') await restoreFiles(archive, target, settings, services, signal);
  else if (target.kind === 'volume') await restoreToVolume(archive, target, settings, services, signal);
  else await restoreImage(archive, { ...settings, target }, services, signal);
}

export type ImageSettings = RestoreSettings & { target: Exclude<RestoreSettings['target'], FilesOrder | VolumeTarget> };

/** @throws SnapError `DIFFERS`: then no image is left; `NOT_FOUND`, `TARGET`, and what `checkObject` throws. */
export async function restoreImage(
  archive: Archive,
  settings: ImageSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const started = monotonic();
  const { snapshotId } = archive;
  const object = chooseImage(archive, settings);
  await makeReadable(snapshotId, [object.key], settings.thaw, { ...services, signal });
  const check: CheckServices = {
    ...services,
    signal,
    streams: settings.downloadStreams,
    sessionKey: settings.sessionKey,
  };
  const given = await giveTo(archive, object, settings, services, check);
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

async function giveTo(
  archive: Archive,
  object: ArchivedObject,
  settings: ImageSettings,
  services: Services,
  check: CheckServices,
): Promise<{ target: string; bytes: number; fetchedBytes: number }> {
  const { target } = settings;
  if (target.kind === 'snapshot') {
    const { id, ...made } = await restoreToSnapshot(archive, object, settings, services, check);
    return { target: id, ...made };
  }
  const index = await imageIndexOf(object, check);
  await using opened = await openTarget(target, settings.overwrite, object, index?.table ?? null, check.signal);
  const written = await writeImage({ object, snapshotId: archive.snapshotId, target: opened, check }, index);
  opened.keep();
  return { target: target.path, ...written };
}

/** The image of the whole disk, or that of one partition. @throws SnapError `USAGE`, `NOT_FOUND` */
function chooseImage({ objects, snapshotId }: Archive, { partition }: RestoreSettings): ArchivedObject {
  const found = objects.find((object) => object.partition === partition);
  if (found?.layout === 'image') return found;
  const what = partition === null ? 'the whole disk' : `partition ${partition}`;
  const images = objects.filter(({ layout }) => layout === 'image').map((object) => object.partition ?? 'the disk');
  throw new SnapError('NOT_FOUND', `the archive of ${snapshotId} has no image of ${what}`, {
    hint:
      images.length > 0
        ? `it has images of: ${images.join(', ')} (--partition)`
        : 'it holds files: restore them with --to-dir',
  });
}
