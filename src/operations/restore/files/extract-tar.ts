/** One tar of an archive through a tar process of our own, which gets only what may become a file. */
import { extractCommand } from '../../../archive/tar.ts';
import { SnapError } from '../../../errors.ts';
import { seconds, sleep } from '../../../lib/clock.ts';
import { startPipeline } from '../../../transfer/pipeline.ts';
import { closeAll, makePipe } from '../../../transfer/pipes.ts';
import type { MemberChoice } from '../../reading/choose-members.ts';
import type { ObjectFindings } from '../../reading/object/object-findings.ts';
import { writeObject } from '../../reading/object/read-object.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { FilesOrder } from '../../shared/settings/restore.ts';
import type { ArchivedTar } from './plan-files.ts';
import { type FillableDirectory, shortcutLinks } from './restore-directory.ts';
import { timesKeptIn } from './times-kept-in.ts';

/** Of what there is to say. */
export const SHOWN = 5;

const GRACE = seconds(3);

/** The verdicts of both are awaited: of the stream, and of tar. */
export async function extractTar(
  { snapshotId, object }: ArchivedTar,
  { path, paths, isPrivileged }: FilesOrder,
  directory: FillableDirectory,
  { choice, complaints }: { choice: MemberChoice | null; complaints: FirstLines },
  check: ReadContext,
): Promise<ObjectFindings> {
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
    const rules = {
      paths,
      isPrivileged,
      isCaseInsensitive: directory.isCaseInsensitive,
      aliases: choice?.aliases ?? [],
    };
    const times = await timesKeptIn(path, signal);
    const { maxBytes } = directory;
    const target = {
      kind: 'files' as const,
      descriptor: pipe.writeEnd,
      rules,
      maxBytes,
      extents: choice?.part?.extents ?? null,
      cuts: choice?.part?.cuts ?? null,
      records: choice?.records ?? null,
      shortcutPrefix: shortcuts.prefix,
      times,
    };
    const found = await writeObject(object, snapshotId, target, { ...check, signal });
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
export class FirstLines {
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
