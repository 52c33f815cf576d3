/** Where files are restored to: a directory of their own, which says so as long as they are not complete. */
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { SnapError } from '../../../errors.ts';
import { minutes } from '../../../lib/clock.ts';
import { runTool } from '../../../transfer/run-tool.ts';
import type { ArchivedObject } from '../../reading/find-archive.ts';
import { lockFile } from '../../shared/lock-file.ts';
import { orTargetError, orTargetErrorNow } from '../target-error.ts';

/** A directory before anything is written to it; it need not be there. */
export interface FoundDirectory {
  path: string;
  /** Whether an earlier restore of the same object was broken off there. */
  isContinued: boolean;
  /** Of the filesystem that it is on, or will be on. */
  freeBytes: number;
  /** Directories with the same one share the room. */
  filesystem: number;
}

export interface FillableDirectory {
  /** Whether an earlier restore of the same object was broken off there. */
  isContinued: boolean;
  /** Whether names that differ only in case or spelling are one name there. */
  isCaseInsensitive: boolean;
  /** Bytes that may be written at the most. */
  maxBytes: number;
  /** Whether what was restored stays when the rest cannot be. */
  isKept: boolean;
  /** Removes all that was restored; `null` where other files may be there. */
  clear: ((signal: AbortSignal) => Promise<void>) | null;
}

/** No other process restores to it until it is disposed. */
export interface TargetDirectory extends FillableDirectory, Disposable {
  /** Everything is there. */
  finish(): Promise<void>;
}

/** In the directory, until everything is there. */
const UNFINISHED = '.snap-to-s3-unfinished';

/** What a new filesystem has already. */
const HARMLESS = new Set(['lost+found', UNFINISHED]);

/** Changes nothing. @throws SnapError `TARGET` for what must not, or cannot, be written to. */
export function lookAtDirectory(
  path: string,
  snapshotId: string,
  object: ArchivedObject,
  overwrite: boolean,
): FoundDirectory {
  return orTargetErrorNow(path, NOT_WRITABLE, () => {
    const marker = join(path, UNFINISHED);
    const mark = markOf(snapshotId, object);
    const there = nearest(path);
    if (there === path && !overwrite) assertEmpty(path, marker, mark);
    if (!statSync(there).isDirectory()) throw new Error(`${there} is no directory`);
    accessSync(there, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = statfsSync(there);
    return { path, isContinued: isMarked(marker, mark), freeBytes: bavail * bsize, filesystem: statSync(there).dev };
  });
}

/**
 * An unfinished restore of the same object is gone on with.
 * @throws SnapError `TARGET` for what must not, or cannot, be written to.
 */
export async function openDirectory(
  path: string,
  snapshotId: string,
  object: ArchivedObject,
  overwrite: boolean,
): Promise<TargetDirectory> {
  const { freeBytes } = lookAtDirectory(path, snapshotId, object, overwrite);
  const marker = join(path, UNFINISHED);
  const locked = await orTargetError(path, NOT_WRITABLE, () => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return lockFile(marker);
  });
  try {
    // Another restore may have begun, or ended, since the directory was looked at.
    const { isContinued } = lookAtDirectory(path, snapshotId, object, overwrite);
    const isEmpty = contentOf(path).length === 0;
    orTargetErrorNow(path, NOT_WRITABLE, () => writeMark(locked.descriptor, markOf(snapshotId, object)));
    return {
      isContinued,
      isCaseInsensitive: isCaseInsensitive(path),
      maxBytes: object.facts?.plainBytes ?? freeBytes,
      isKept: true,
      clear: isEmpty ? (signal) => clearDirectory(path, signal) : null,
      finish: () => finish(path, marker),
      [Symbol.dispose]: () => locked[Symbol.dispose](),
    };
  } catch (error) {
    locked[Symbol.dispose]();
    throw error;
  }
}

/** Names need not be text, so a program finds them. @throws SnapError `TARGET`, `TOOL_MISSING` */
export async function clearDirectory(path: string, signal: AbortSignal): Promise<void> {
  const kept = [...HARMLESS].flatMap((name) => ['!', '-name', name]);
  const top = ['-mindepth', '1', '-maxdepth', '1'];
  const argv = ['find', resolve(path), ...top, ...kept, '-exec', 'rm', '-rf', '--', '{}', '+'];
  await orTargetError(path, 'look at what it says', () => runTool(argv, { signal, within: CLEARING }));
}

/** As long as removing a tree takes. */
const CLEARING = minutes(360);

function writeMark(descriptor: number, mark: string): void {
  ftruncateSync(descriptor);
  writeSync(descriptor, mark, 0);
}

const NOT_WRITABLE = 'it must be a directory that this user may write to';

/** The path itself, or the lowest directory above it that is there. */
const nearest = (path: string): string => (existsSync(path) || dirname(path) === path ? path : nearest(dirname(path)));

const markOf = (snapshot: string, { key, facts }: ArchivedObject): string =>
  `${JSON.stringify({ snapshot, key, etag: facts?.etag ?? null })}\n`;

/** @param mark `null`: whatever it says; an empty one says nothing yet. */
function isMarked(marker: string, mark: string | null): boolean {
  const found = lstatSync(marker, { throwIfNoEntry: false });
  if (!found?.isFile() || found.size === 0) return false;
  return mark === null || readFileSync(marker, 'utf8') === mark;
}

const contentOf = (path: string): string[] => readdirSync(path).filter((name) => !HARMLESS.has(name));

function assertEmpty(path: string, marker: string, mark: string): void {
  if (isMarked(marker, mark)) return;
  const isOthers = isMarked(marker, null);
  const found = contentOf(path);
  if (isOthers || found.length > 0) {
    const what = isOthers ? 'holds an unfinished restore of something else' : `is not empty: ${found[0]}`;
    throw new SnapError('TARGET', `${path} ${what}`, { hint: 'give another directory, or --overwrite' });
  }
}

/** The marker's own name, in other letters. */
const isCaseInsensitive = (path: string): boolean => existsSync(join(path, UNFINISHED.toUpperCase()));

const finish = (path: string, marker: string): Promise<void> =>
  keepingTime(path, () => rmSync(marker, { force: true }));

/** The directory keeps the time that it was given, though a name is removed from it. */
async function keepingTime(path: string, change: () => void): Promise<void> {
  const { mtimeNs } = statSync(path, { bigint: true });
  change();
  if (mtimeNs < 0n) return;
  const [seconds, fraction] = [mtimeNs / 1_000_000_000n, mtimeNs % 1_000_000_000n];
  await runTool(['touch', `--date=@${seconds}.${String(fraction).padStart(9, '0')}`, '--', path]);
}

export interface ShortcutLinks extends AsyncDisposable {
  prefix: string;
}

/**
 * Names for the links by which tar reaches long paths below a directory. Disposing removes the links, and those that an
 * earlier restore of the same object has left.
 */
export function shortcutLinks(path: string, { key }: ArchivedObject): ShortcutLinks {
  // An archive cannot hold its own key's hash by chance.
  const prefix = `.snap-to-s3-shortcut-${createHash('sha256').update(key).digest('hex').slice(0, 16)}-`;
  return { prefix, [Symbol.asyncDispose]: () => removeLinks(path, prefix) };
}

async function removeLinks(path: string, prefix: string): Promise<void> {
  const names = readdirSync(path).filter((name) => name.startsWith(prefix));
  const links = names.map((name) => join(path, name)).filter((link) => lstatSync(link).isSymbolicLink());
  if (links.length === 0) return;
  await keepingTime(path, () => {
    for (const link of links) unlinkSync(link);
  });
}
