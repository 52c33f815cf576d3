/** The operation `restore`: restores an archive, and verifies every byte. */
import type { ExitCode } from '../../errors.ts';
import { requireTools } from '../../host/tools.ts';
import { sweepKilledRuns } from '../../host/volumes/killed-runs.ts';
import { requireManifest } from '../reading/bucket/origin.ts';
import { type Archive, assertNoDuplicates } from '../reading/find-archive.ts';
import { findArchivesById } from '../reading/find-archives.ts';
import { whilePinned } from '../reading/while-pinned.ts';
import { LOCKING_TOOL } from '../shared/lock-file.ts';
import type { Services } from '../shared/services.ts';
import type { RestoreSettings } from '../shared/settings/restore.ts';
import { runEach } from '../sharing/run-each.ts';
import { stopOnInstanceNotice } from '../sharing/stop-on-instance-notice.ts';
import { restoreFiles } from './files/restore-files.ts';
import { restoreImage } from './image/restore-image.ts';
import { isInImage, restoreMounted } from './mounted/restore-mounted.ts';
import { showRestore } from './plan-restore.ts';
import { isPoint } from './point/plan-point.ts';
import { restorePoint } from './point/restore-point.ts';
import { requireVolumes, restoreToVolume } from './volume/restore-volume.ts';

/**
 * Restores the image of a disk or a partition to a file, a device or a new snapshot; files to a directory; or a whole disk
 * to a new volume.
 * @returns `EXIT.ok`; `EXIT.differs` if the data differs from what was archived, in which case no image remains; otherwise
 *   the exit code of the failure.
 * @throws SnapError the reason if the restore cannot start; `INTERRUPTED`.
 */
export async function restore(settings: RestoreSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  if (!settings.dryRun) await sweepKilledRuns(signal);
  requireTools(toolsFor(settings.target), services.searchPath);
  if (settings.target.kind === 'volume') await requireVolumes(services);
  await services.store.check({ signal });
  const { archives, missing } = await findArchivesById([settings.snapshotId], settings.prefix, services, signal);
  return stopOnInstanceNotice(services, signal, (running) =>
    runEach({
      command: settings.dryRun ? 'restore --dry-run' : 'restore',
      items: archives,
      concurrency: 1,
      idOf: ({ snapshotId }) => snapshotId,
      refused: missing,
      host: services.host,
      signal: running,
      work: async (archive) => {
        assertNoDuplicates(archive);
        await requireManifest(archive, () => settings.withoutManifest, services, running);
        const work = () => restoreOne(archive, settings, services, running);
        await (settings.dryRun ? work() : whilePinned(archive, settings, services, running, work));
        return 'done';
      },
      mayBeFree: null,
    }),
  );
}

async function restoreOne(
  archive: Archive,
  settings: RestoreSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const { target } = settings;
  if (target.kind === 'directory' && isInImage(archive, settings))
    await restoreMounted(archive, target, settings, services, signal);
  else if (isPoint(archive) && target.kind !== 'volume') await restorePoint(archive, settings, services, signal);
  else if (settings.dryRun) await showRestore(archive, settings, services, signal);
  else await restoreTo(archive, settings, services, signal);
}

function toolsFor({ kind }: RestoreSettings['target']): string[] {
  if (kind === 'directory') return [LOCKING_TOOL, 'mkfifo', 'tar'];
  return kind === 'file' ? [LOCKING_TOOL, 'mkfifo'] : ['mkfifo'];
}

async function restoreTo(
  archive: Archive,
  settings: RestoreSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const { target } = settings;
  if (target.kind === 'directory') await restoreFiles(archive, target, settings, services, signal);
  else if (target.kind === 'volume') await restoreToVolume(archive, target, settings, services, signal);
  else await restoreImage(archive, { ...settings, target }, services, signal);
}
