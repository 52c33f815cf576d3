/** The files of one object, made anew below a directory; what was damaged in transit is read once more. */
import { SnapError } from '../../../errors.ts';
import type { Host } from '../../../events.ts';
import { monotonic } from '../../../lib/clock.ts';
import { temporaryDirectory } from '../../../lib/temporary-files.ts';
import type { ObjectFindings } from '../../reading/object/object-findings.ts';
import { markFinal, readAgainIfDamaged } from '../../reading/read-again.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { FilesOrder } from '../../shared/settings/restore.ts';
import { extractTar, FirstLines, SHOWN } from './extract-tar.ts';
import { type ArchivedTar, type ChosenMembers, chooseFrom } from './plan-files.ts';
import type { FillableDirectory } from './restore-directory.ts';

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
  const { snapshotId: snapshot, object } = tar;
  const { key } = object;
  const { host, signal } = check;
  const started = monotonic();
  await using temporary = temporaryDirectory();
  const choose = (isContinued: boolean) =>
    chooseFrom(tar, order, { isContinued, notes: temporary.path, useIndex }, check);
  const first = chosen ?? (await choose(directory.isContinued));
  if (first.choice?.part && first.before && first.before.files > 0) {
    const { files, bytes } = first.before;
    host.notify({ code: 'restore.continued', snapshot, key, files, bytes });
  }
  let fetchedBytes = 0;
  const extract = async (isAgain: boolean) => {
    const { choice, before } = isAgain ? await choose(first.choice !== null) : first;
    const complaints = new FirstLines();
    const found = await extractTar(tar, order, directory, { choice, complaints }, check);
    fetchedBytes += found.fetchedBytes + (choice?.fetchedBytes ?? 0);
    assertNoDifferences(found, order.path, directory, isAgain);
    return { found, complaints, before };
  };
  const restored = await readAgainIfDamaged('DIFFERS', extract, async () => {
    // By the index, what is right stays, and what is wrong is replaced. Without one, nothing tells them apart.
    if (first.choice === null && directory.clear === null) return false;
    host.notify({ code: 'object.reread', snapshot, key });
    if (first.choice === null) await directory.clear?.(signal);
    return true;
  });
  const { found, complaints } = restored;
  tellIncomplete(found, snapshot, order.path, complaints, host);
  host.notify({
    code: 'object.restored',
    snapshot,
    key,
    target: order.path,
    bytes: found.contentBytes + (restored.before?.bytes ?? 0) - (first.before?.bytes ?? 0),
    files: found.files + (restored.before?.files ?? 0) - (first.before?.files ?? 0),
    fetchedBytes,
    seconds: (monotonic() - started) / 1000,
  });
  return found.missing;
}

/** What was made without all that it had. */
function tellIncomplete(
  { key, leftOut: { devices, privileges, times } }: ObjectFindings,
  snapshot: string,
  target: string,
  { lines: messages, count }: FirstLines,
  host: Host,
): void {
  if (devices + privileges > 0) host.notify({ code: 'files.left-out', snapshot, key, devices, privileges });
  if (count + times > 0) host.notify({ code: 'files.incomplete', snapshot, key, target, messages, count, times });
}

/** @throws SnapError `DIFFERS` */
function assertNoDifferences(
  { key, differences, differenceCount, isAsStored }: ObjectFindings,
  path: string,
  { isKept }: Pick<FillableDirectory, 'isKept'>,
  isAgain: boolean,
): void {
  if (differenceCount === 0) return;
  const shown = differences.slice(0, SHOWN).map((found) => [found.path, found.detail].filter(Boolean).join(': '));
  const rest = differenceCount > shown.length ? `; and ${differenceCount - shown.length} more` : '';
  const loss = isKept ? `what is below ${path} is not all of it` : 'the unfinished volume is deleted';
  const error = new SnapError('DIFFERS', `${key}: ${shown.join('; ')}${rest}; ${loss}`, {
    hint: isAsStored || isAgain ? DAMAGED : `run the same command again: it may be damage in transit; else, ${DAMAGED}`,
  });
  throw isAsStored ? markFinal(error) : error;
}

const DAMAGED =
  'the archive is damaged, or was made to do harm: look for another copy, or another version of the object';
