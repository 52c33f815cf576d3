/** Extracts a tar with a tar process, which receives only the members that pass the checks. */
import { extractCommand } from '../../../archive/tar/tar-command.ts';
import { SnapError } from '../../../errors.ts';
import { seconds, sleep } from '../../../lib/clock.ts';
import { startPipeline } from '../../../transfer/pipeline.ts';
import { closeAll, makePipe } from '../../../transfer/pipes.ts';
import type { ArchivedObject } from '../../reading/find-archive.ts';
import type { MemberChoice } from '../../reading/index/choose-members.ts';
import type { ObjectFindings } from '../../reading/object/object-findings.ts';
import { writeObject } from '../../reading/object/read-object.ts';
import type { WriteTarget } from '../../reading/object/sinks.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { FilesOrder } from '../../shared/settings/restore.ts';
import type { ArchivedTar } from './plan-files.ts';
import { type FillableDirectory, shortcutLinks } from './restore-directory.ts';
import { timesKeptIn } from './times-kept-in.ts';

/** Maximum number of messages or differences that are shown. */
export const SHOWN = 5;

/** The time to wait for the result of the stream after tar has failed. */
const GRACE = seconds(3);

export interface Extraction {
  object: Pick<ArchivedObject, 'key'>;
  order: FilesOrder;
  directory: FillableDirectory;
  /** The members to fetch; `null` without an index. */
  choice: MemberChoice | null;
  messages: FirstLines;
}

/** Waits for the results of both the stream and tar. */
export const extractTar = (
  { snapshotId, object }: ArchivedTar,
  extraction: Omit<Extraction, 'object'>,
  check: ReadContext,
): Promise<ObjectFindings> =>
  extractStream(
    { ...extraction, object },
    (target, signal) => writeObject(object, snapshotId, target, { ...check, signal }),
    check.signal,
  );

type FilesSink = Extract<WriteTarget, { kind: 'files' }>;

/** @param write reads a tar, and writes the members that may be restored to the target. */
export async function extractStream<Found extends { differenceCount: number }>(
  { object, order: { path, paths, isPrivileged }, directory, choice, messages }: Extraction,
  write: (target: FilesSink, signal: AbortSignal) => Promise<Found>,
  stopped: AbortSignal,
): Promise<Found> {
  const failed = new AbortController();
  const signal = AbortSignal.any([stopped, failed.signal]);
  const ended = new AbortController();
  // A difference in the stream is more informative than the failure of tar. The download is stopped after a short time,
  // because the rest of the stream is useless without tar.
  const waitForStream = () => sleep(GRACE, ended.signal);
  await using shortcuts = shortcutLinks(path, object);
  const pipe = await makePipe();
  try {
    const onStderrLine = (line: string) => messages.push(line);
    const tar = { name: 'tar', argv: extractCommand(path), onStderrLine };
    await using pipeline = await startPipeline([tar], { signal, input: pipe.readEnd }).finally(() =>
      closeAll([pipe.readEnd]),
    );
    closeAll([pipeline.output]);
    void pipeline.finished.catch((error) =>
      waitForStream().then(
        () => failed.abort(asTargetError(error, path, directory, messages)),
        () => {},
      ),
    );
    const { isCaseInsensitive, maxBytes } = directory;
    const ownNames = [...directory.ownNames, shortcuts.prefix];
    const target: FilesSink = {
      kind: 'files',
      descriptor: pipe.writeEnd,
      rules: { paths, isPrivileged, isCaseInsensitive, ownNames },
      maxBytes,
      extents: choice?.part?.extents ?? null,
      cuts: choice?.part?.cuts ?? null,
      records: choice?.records ?? null,
      shortcutPrefix: shortcuts.prefix,
      times: await timesKeptIn(path, signal),
    };
    const found = await write(target, signal);
    ended.abort();
    closeAll([pipe.writeEnd]);
    pipe.writeEnd = -1;
    await pipeline.finished.catch((error) => {
      if (found.differenceCount === 0) throw asTargetError(error, path, directory, messages);
    });
    return found;
  } finally {
    ended.abort();
    if (pipe.writeEnd !== -1) closeAll([pipe.writeEnd]);
  }
}

/** The first error messages of tar, which are more informative than its last one. */
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
  return new SnapError('TARGET', `could not restore files to ${path}: ${lines.join('; ') || error.message}`, {
    hint: isKept
      ? 'correct the cause, for example free space, and run the same command again; the restored files are kept, and it resumes'
      : 'the unfinished volume is deleted; correct the cause and run the same command again, or restore the files to a larger filesystem with --to-dir',
    cause: error,
  });
}
