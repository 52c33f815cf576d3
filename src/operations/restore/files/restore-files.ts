/** Restores the files of an archive to a directory. */
import { temporaryDirectory } from '../../../lib/temporary-files.ts';
import type { Archive } from '../../reading/find-archive.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { Services } from '../../shared/services.ts';
import type { FilesOrder, RestoreSettings } from '../../shared/settings/restore.ts';
import { makeReadable } from '../../thaw/thaw.ts';
import { assertAllFound, planFiles } from './plan-files.ts';
import { openDirectory, type TargetDirectory } from './restore-directory.ts';
import { restoreTar } from './restore-tar.ts';

/**
 * Restores the files of one partition to the directory itself, and those of several partitions to subdirectories with their
 * numbers. After an error, the restored files are kept and marked as unfinished, and the same command resumes.
 * @throws SnapError `DIFFERS`, `NOT_FOUND`, `TARGET`, and the errors of `planFiles`, `makeReadable` and `writeObject`.
 */
export async function restoreFiles(
  archive: Archive,
  order: FilesOrder,
  settings: RestoreSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const check: ReadContext = {
    ...services,
    signal,
    streams: settings.downloadStreams,
    sessionKey: settings.sessionKey,
  };
  const { snapshotId } = archive;
  await using temporary = temporaryDirectory();
  const plans = await planFiles(archive, order, settings, temporary.path, check);
  const keys = plans.map(({ object }) => object.key);
  await makeReadable(snapshotId, keys, settings.thaw, { ...services, signal });
  const missing: string[][] = [];
  const complete: TargetDirectory[] = [];
  using locks = new DisposableStack();
  for (const { object, directory, chosen } of plans) {
    const { path } = directory;
    const opened = locks.use(await openDirectory(path, snapshotId, object, settings.overwrite));
    missing.push(
      await restoreTar(
        { snapshotId, object },
        { ...order, path },
        opened,
        { useIndex: settings.useIndex, chosen },
        check,
      ),
    );
    complete.push(opened);
  }
  // All markers are removed at the end, so that the same command resumes all directories if a later one fails.
  for (const directory of complete) await directory.finish();
  assertAllFound(snapshotId, order.paths, missing, 'all other requested paths are restored');
}
