/** Copies files from a mounted filesystem to a directory, by a tar that is restored like that of an archive. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  isSocketLine,
  readTarTotal,
  tarCommand,
  tarCommandFor,
  unreadableFile,
} from '../../../archive/tar/tar-command.ts';
import { SnapError } from '../../../errors.ts';
import { printable } from '../../../lib/printable.ts';
import { temporaryDirectory } from '../../../lib/temporary-files.ts';
import type { SinkOrder, StreamFindings } from '../../../streams/sink-thread.ts';
import { consumeInThreads } from '../../../streams/start.ts';
import { startPipeline } from '../../../transfer/pipeline.ts';
import { closeAll } from '../../../transfer/pipes.ts';
import type { FilesOrder } from '../../shared/settings/restore.ts';
import { extractStream, FirstLines } from '../files/extract-tar.ts';
import type { FillableDirectory } from '../files/restore-directory.ts';
import type { FoundPaths } from './find-paths.ts';
import type { MountedPart } from './mount-parts.ts';

export interface CopyOrder {
  /** The key of what is restored, for messages and the names of temporary links. */
  key: string;
  part: MountedPart;
  /** `null` for all files. */
  found: FoundPaths | null;
  order: FilesOrder;
  directory: FillableDirectory;
}

export interface Copied {
  findings: StreamFindings;
  /** What tar said about attributes that it could not restore. */
  messages: FirstLines;
}

/** @throws SnapError `UNREADABLE`, `COUNT_MISMATCH`, `TARGET` and the errors of pipelines; the reason of the signal. */
export async function copyFiles(
  { key, part, found, order, directory }: CopyOrder,
  signal: AbortSignal,
): Promise<Copied> {
  await using temporary = temporaryDirectory();
  const messages = new FirstLines();
  const argv = found ? tarCommandFor(part.root, listsIn(temporary.path, found)) : tarCommand(part.root);
  const extraction = { object: { key }, order, directory, choice: null, messages };
  const findings = await extractStream(
    extraction,
    ({ extents: _, ...sink }, working) => readTar(argv, sink, working),
    signal,
  );
  const damage = part.damage();
  if (damage !== null) throw unreadable(`the filesystem of ${key}`, damage);
  return { findings, messages };
}

/** Names may have any bytes, and may be more than a command line takes. */
function listsIn(directory: string, { above, wanted }: FoundPaths): { above: string; wanted: string } {
  const write = (name: string, paths: readonly string[]): string => {
    const file = join(directory, name);
    writeFileSync(file, Buffer.from(paths.map((path) => `./${path}\0`).join(''), 'latin1'));
    return file;
  };
  return { above: write('above', above), wanted: write('wanted', wanted) };
}

async function readTar(argv: readonly string[], sink: SinkOrder, stopped: AbortSignal): Promise<StreamFindings> {
  const failed = new AbortController();
  const signal = AbortSignal.any([stopped, failed.signal]);
  const onStderrLine = (line: string) => {
    const trouble = isSocketLine(line) ? null : unreadableFile(line);
    if (trouble) failed.abort(unreadable(printable(trouble.path), trouble.reason));
  };
  await using pipeline = await startPipeline([{ name: 'tar', argv, onStderrLine }], { signal });
  const consuming = consumeInThreads(pipeline.output, sink, signal).finally(() => closeAll([pipeline.output]));
  consuming.catch((error) => failed.abort(error));
  const [consumed, read] = await Promise.allSettled([consuming, pipeline.finished]);
  signal.throwIfAborted();
  if (read.status === 'rejected') throw read.reason;
  if (consumed.status === 'rejected') throw consumed.reason;
  const findings = consumed.value;
  const total = readTarTotal(read.value[0]?.stderrTail ?? '');
  if (total === findings.plainBytes) return findings;
  throw new SnapError(
    'COUNT_MISMATCH',
    `tar wrote ${total ?? 'an unknown number of'} bytes; ${findings.plainBytes} came`,
    {
      hint: 'the restored files are incomplete: run the same command again; if it persists, report it',
    },
  );
}

const unreadable = (what: string, why: string): SnapError =>
  new SnapError('UNREADABLE', `${what} cannot be read: ${why}`, {
    hint: 'look for errors in dmesg; the filesystem may be damaged: restore the image with --to-file, and check it',
  });
