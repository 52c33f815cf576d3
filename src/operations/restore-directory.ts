/** Where files are restored to: a directory of their own, which says so as long as they are not complete. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { asError, SnapError } from '../errors.ts';
import { formatBytes } from '../lib/units.ts';
import { runTool } from '../transfer/process.ts';
import type { ArchivedObject } from './find-archive.ts';

export interface TargetDirectory {
  /** Whether an earlier restore of the same object was broken off there. */
  isContinued: boolean;
  /** Whether names that differ only in case or spelling are one name there. */
  isCaseless: boolean;
  /** Bytes that may be written at the most. */
  mostBytes: number;
  /** Everything is there. */
  finish(): Promise<void>;
}

/** In the directory, until everything is there. */
const UNFINISHED = '.snap-to-s3-unfinished';

/** What a new filesystem has already. */
const HARMLESS = new Set(['lost+found', UNFINISHED]);

/**
 * An unfinished restore of the same object is gone on with.
 * @param isWhole whether all of the object is wanted, whose length is known then.
 * @throws SnapError `TARGET` for what must not, or cannot, be written to.
 */
export async function openDirectory(
  path: string,
  snapshotId: string,
  { key, facts }: ArchivedObject,
  overwrite: boolean,
  isWhole: boolean,
): Promise<TargetDirectory> {
  const marker = join(path, UNFINISHED);
  const mark = `${JSON.stringify({ snapshot: snapshotId, key, etag: facts?.etag ?? null })}\n`;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (!overwrite) refuseContent(path, marker, mark);
    const free = freeBytes(path);
    const needed = isWhole ? (facts?.plainBytes ?? 0) : 0;
    if (needed > free && !existsSync(marker)) {
      throw new SnapError('TARGET', `${path} needs ${formatBytes(needed)}, there are ${formatBytes(free)}`, {
        hint: 'make room, or restore to another filesystem',
      });
    }
    const isContinued = isMarked(marker, mark);
    writeFileSync(marker, mark, { mode: 0o600 });
    const mostBytes = facts?.plainBytes ?? free;
    return { isContinued, isCaseless: isCaseless(path), mostBytes, finish: () => finish(path, marker) };
  } catch (cause) {
    if (cause instanceof SnapError) throw cause;
    throw new SnapError('TARGET', `${path} cannot be written: ${asError(cause).message}`, {
      hint: 'it must be a directory that this user may write to',
      cause,
    });
  }
}

/** @param mark `null`: whatever it says. */
const isMarked = (marker: string, mark: string | null): boolean =>
  lstatSync(marker, { throwIfNoEntry: false })?.isFile() === true &&
  (mark === null || readFileSync(marker, 'utf8') === mark);

function refuseContent(path: string, marker: string, mark: string): void {
  if (isMarked(marker, mark)) return;
  const isOthers = isMarked(marker, null);
  const found = readdirSync(path).filter((name) => !HARMLESS.has(name));
  if (isOthers || found.length > 0) {
    const what = isOthers ? 'holds an unfinished restore of something else' : `is not empty: ${found[0]}`;
    throw new SnapError('TARGET', `${path} ${what}`, { hint: 'give another directory, or --overwrite' });
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** The marker's own name, in other letters. */
const isCaseless = (path: string): boolean => existsSync(join(path, UNFINISHED.toUpperCase()));

/** The directory keeps the time that it was given, though a name is removed from it. */
async function finish(path: string, marker: string): Promise<void> {
  const { mtimeNs } = statSync(path, { bigint: true });
  rmSync(marker, { force: true });
  if (mtimeNs < 0n) return;
  const [seconds, fraction] = [mtimeNs / 1_000_000_000n, mtimeNs % 1_000_000_000n];
  await runTool(['touch', `--date=@${seconds}.${String(fraction).padStart(9, '0')}`, '--', path]);
}
