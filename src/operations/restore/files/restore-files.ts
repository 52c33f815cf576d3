/** Files of an archive, made anew below a directory by tar, which gets only what may become one. */
import { extractCommand } from '../../../archive/tar.ts';
import { SnapError } from '../../../errors.ts';
import type { Host } from '../../../events.ts';
import { seconds as inSeconds, monotonic, sleep } from '../../../lib/clock.ts';
import { temporaryDirectory } from '../../../lib/temporary-files.ts';
import { startPipeline } from '../../../transfer/pipeline.ts';
import { closeAll, makePipe } from '../../../transfer/pipes.ts';
import { checkObject, type ObjectCheck } from '../../reading/check-object.ts';
import type { MemberChoice } from '../../reading/choose-members.ts';
import type { Archive } from '../../reading/find-archive.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { Services } from '../../shared/services.ts';
import type { FilesOrder, RestoreSettings } from '../../shared/settings/restore.ts';
import { makeReadable } from '../../thaw/thaw.ts';
import { type ArchivedTar, assertAllFound, type ChosenMembers, chooseFrom, planFiles } from './plan-files.ts';
import { type FillableDirectory, openDirectory, shortcutLinks, type TargetDirectory } from './restore-directory.ts';
import { timesKeptIn } from './times-kept-in.ts';

/**
 * The files of one partition come below the directory itself, those of several below directories with their numbers.
 * @throws SnapError `DIFFERS`, `NOT_FOUND`, `TARGET`, and what `checkObject` throws. What was made then stays, marked
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

interface RestoredMembers {
  /** Whether the index says where files are. */
  useIndex: boolean;
  /** `null`: what to fetch is not known yet. */
  chosen: ChosenMembers | null;
}

/**
 * @returns the paths that were asked for and are not in it.
 * @throws SnapError as `restoreFiles` does.
 */
export async function restoreTar(
  tar: ArchivedTar,
  order: FilesOrder,
  directory: FillableDirectory,
  { useIndex, chosen }: RestoredMembers,
  check: ReadContext,
): Promise<string[]> {
  const { snapshotId, object } = tar;
  const started = monotonic();
  await using temporary = temporaryDirectory();
  const { choice, before } =
    chosen ??
    (await chooseFrom(tar, order, { isContinued: directory.isContinued, notes: temporary.path, useIndex }, check));
  if (choice?.part && before && before.files > 0) {
    const { files, bytes } = before;
    check.host.notify({ code: 'restore.continued', snapshot: snapshotId, key: object.key, files, bytes });
  }
  const complaints = new FirstLines();
  const found = await extract(tar, order, directory, { choice, complaints }, check);
  assertNoDifferences(found, order.path, directory);
  const snapshot = snapshotId;
  const { key } = found;
  tellIncomplete(found, snapshot, order.path, complaints, check.host);
  const seconds = (monotonic() - started) / 1000;
  check.host.notify({
    code: 'object.restored',
    snapshot,
    key,
    target: order.path,
    bytes: found.contentBytes,
    files: found.files,
    fetchedBytes: found.fetchedBytes + (choice?.fetchedBytes ?? 0),
    seconds,
  });
  return found.missing;
}

/** What was made without all that it had. */
function tellIncomplete(
  { key, leftOut: { devices, privileges, times } }: ObjectCheck,
  snapshot: string,
  target: string,
  { lines: messages, count }: FirstLines,
  host: Host,
): void {
  if (devices + privileges > 0) host.notify({ code: 'files.left-out', snapshot, key, devices, privileges });
  if (count + times > 0) host.notify({ code: 'files.incomplete', snapshot, key, target, messages, count, times });
}

/** Of what there is to say. */
const SHOWN = 5;

const GRACE = inSeconds(3);

/** The verdicts of both are awaited: of the stream, and of tar. */
async function extract(
  { snapshotId, object }: ArchivedTar,
  { path, paths, isPrivileged }: FilesOrder,
  directory: FillableDirectory,
  { choice, complaints }: { choice: MemberChoice | null; complaints: FirstLines },
  check: ReadContext,
): Promise<ObjectCheck> {
  const failed = new AbortController();
  const signal = AbortSignal.any([check.signal, failed.signal]);
  const ended = new AbortController();
  // What tar says at its end counts less than what the stream turns out to be; but nobody fetches all of it for no use.
  const giveUp = () => sleep(GRACE, ended.signal);
  await using shortcuts = shortcutLinks(path, object);
  const pipe = await makePipe();
  try {
    const onStderrLine = (line: string) => complaints.push(line);
    const tar = { name: 'tar', argv: extractCommand(path), onStderrLine };
    await using pipeline = await startPipeline([tar], { signal, input: pipe.readEnd }).finally(() =>
      closeAll([pipe.readEnd]),
    );
    closeAll([pipeline.output]);
    void pipeline.finished.catch((error) =>
      giveUp().then(
        () => failed.abort(asTargetError(error, path, directory, complaints)),
        () => {},
      ),
    );
    const rules = { paths, isPrivileged, isCaseless: directory.isCaseless, aliases: choice?.aliases ?? [] };
    const times = await timesKeptIn(path, signal);
    const { maxBytes } = directory;
    const target = {
      how: 'extract' as const,
      descriptor: pipe.writeEnd,
      rules,
      maxBytes,
      extents: choice?.part?.extents ?? null,
      cuts: choice?.part?.cuts ?? null,
      records: choice?.records ?? null,
      shortcutPrefix: shortcuts.prefix,
      times,
    };
    const found = await checkObject(object, snapshotId, target, { ...check, signal });
    ended.abort();
    closeAll([pipe.writeEnd]);
    pipe.writeEnd = -1;
    await pipeline.finished.catch((error) => {
      if (found.differenceCount === 0) throw asTargetError(error, path, directory, complaints);
    });
    return found;
  } finally {
    ended.abort();
    if (pipe.writeEnd !== -1) closeAll([pipe.writeEnd]);
  }
}

/** Of what tar complains of; its last words are that there were others. */
class FirstLines {
  readonly lines: string[] = [];
  count = 0;

  push(line: string): void {
    this.count++;
    if (this.lines.length < SHOWN) this.lines.push(line);
  }
}

function asTargetError(error: unknown, path: string, { isKept }: FillableDirectory, { lines }: FirstLines): unknown {
  if (!(error instanceof SnapError) || error.code !== 'STAGE_FAILED') return error;
  return new SnapError('TARGET', `files below ${path} cannot be made: ${lines.join('; ') || error.message}`, {
    hint: isKept
      ? 'make room (df), or look at what it says; what is restored so far stays: then run the same command again'
      : 'look at what it says; the unfinished volume is deleted; --to-dir restores the files to a larger filesystem',
    cause: error,
  });
}

/** @throws SnapError `DIFFERS` */
function assertNoDifferences(
  { key, differences, differenceCount, isAsStored }: ObjectCheck,
  path: string,
  { isKept }: Pick<FillableDirectory, 'isKept'>,
): void {
  if (differenceCount === 0) return;
  const shown = differences.slice(0, SHOWN).map((found) => [found.path, found.detail].filter(Boolean).join(': '));
  const rest = differenceCount > shown.length ? `; and ${differenceCount - shown.length} more` : '';
  const loss = isKept ? `what is below ${path} is not all of it` : 'the unfinished volume is deleted';
  throw new SnapError('DIFFERS', `${key}: ${shown.join('; ')}${rest}; ${loss}`, {
    hint: isAsStored
      ? 'the archive is damaged, or was made to do harm: look for another copy, or another version of the object'
      : 'run the same command again: it may have been damaged on its way. If that says the same, the archive is damaged, or was made to do harm: look for another copy, or another version of the object',
  });
}
