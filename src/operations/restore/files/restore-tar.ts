/** Restores the files of one object to a directory. Data that may have been damaged in transit is read again. */
import { SnapError } from '../../../errors.ts';
import type { Host } from '../../../events.ts';
import { monotonic } from '../../../lib/clock.ts';
import { temporaryDirectory } from '../../../lib/temporary-files.ts';
import type { ObjectFindings } from '../../reading/object/object-findings.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { failedWith, markFinal, readTwice } from '../../reading/read-twice.ts';
import type { FilesOrder } from '../../shared/settings/restore.ts';
import { extractTar, FirstLines, SHOWN } from './extract-tar.ts';
import { type ArchivedTar, type ChosenMembers, chooseFrom } from './plan-files.ts';
import type { FillableDirectory } from './restore-directory.ts';

interface RestoredMembers {
  /** Whether to use the index to locate the files. */
  useIndex: boolean;
  /** The members to restore; `null` if they have not been selected yet. */
  chosen: ChosenMembers | null;
}

/**
 * Restores the files of one tar.
 * @returns the requested paths that it does not contain.
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
  const choose = (isResumed: boolean) => chooseFrom(tar, order, { isResumed, notes: temporary.path, useIndex }, check);
  const first = chosen ?? (await choose(directory.isResumed));
  if (first.choice?.part && first.before && first.before.files > 0) {
    const { files, bytes } = first.before;
    host.notify({ code: 'restore.continued', snapshot, key, files, bytes });
  }
  let fetchedBytes = 0;
  // With an index, correct files are kept and wrong ones replaced. Without one, wrong files cannot be identified.
  const hasToClear = first.choice === null;
  const extract = async (isAgain: boolean) => {
    if (isAgain && hasToClear) await directory.clear?.(signal);
    const { choice, before } = isAgain ? await choose(first.choice !== null) : first;
    const messages = new FirstLines();
    const found = await extractTar(tar, { order, directory, choice, messages }, check);
    fetchedBytes += found.fetchedBytes + (choice?.fetchedBytes ?? 0);
    assertAllRestored(found, order.path, directory, isAgain);
    return { found, messages, before };
  };
  const canRepeat = !hasToClear || directory.clear !== null;
  const isDoubtful = failedWith('DIFFERS');
  const restored = await readTwice({ snapshot, key }, host, extract, (outcome) => canRepeat && isDoubtful(outcome));
  const { found, messages } = restored;
  reportIncomplete(found, snapshot, order.path, messages, host);
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

/** Notifies the host of files that were not restored, or restored without all their attributes. */
export function reportIncomplete(
  { key, leftOut: { devices, privileges, times } }: Pick<ObjectFindings, 'key' | 'leftOut'>,
  snapshot: string,
  target: string,
  { lines: messages, count }: FirstLines,
  host: Host,
): void {
  if (devices + privileges > 0) host.notify({ code: 'files.left-out', snapshot, key, devices, privileges });
  if (count + times > 0) host.notify({ code: 'files.incomplete', snapshot, key, target, messages, count, times });
}

type FoundDifferences = Pick<ObjectFindings, 'key' | 'differences' | 'differenceCount' | 'isAsStored'>;

/** @throws SnapError `DIFFERS` */
export function assertAllRestored(
  { key, differences, differenceCount, isAsStored }: FoundDifferences,
  path: string,
  { isKept }: Pick<FillableDirectory, 'isKept'>,
  isAgain: boolean,
): void {
  if (differenceCount === 0) return;
  const shown = differences.slice(0, SHOWN).map((found) => [found.path, found.detail].filter(Boolean).join(': '));
  const rest = differenceCount > shown.length ? `; and ${differenceCount - shown.length} more` : '';
  const loss = isKept ? `the files in ${path} are incomplete` : 'the unfinished volume is deleted';
  const error = new SnapError('DIFFERS', `${key}: ${shown.join('; ')}${rest}; ${loss}`, {
    hint:
      isAsStored || isAgain
        ? DAMAGED
        : `run the same command again, because the data may have been damaged in transit; if it fails again, ${DAMAGED}`,
  });
  throw isAsStored ? markFinal(error) : error;
}

const DAMAGED =
  'the archive is damaged, or was manipulated: look for another copy, or another version of the object in the bucket';
