/** Files of an archive, made anew below a directory. */
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
 * The files of one partition come below the directory itself, those of several below directories with their numbers.
 * @throws SnapError `DIFFERS`, `NOT_FOUND`, `TARGET`, and what `writeObject` throws. What was made then stays, marked
 *   as unfinished, and is gone on with by the same command.
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
  // Not before: the same command goes on with all of them, should a later one fail.
  for (const directory of complete) await directory.finish();
  assertAllFound(snapshotId, order.paths, missing, 'everything else that was asked for is restored');
}
