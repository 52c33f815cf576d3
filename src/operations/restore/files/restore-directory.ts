/** The target directory of a restore of files. A marker file in it shows that the restore is not complete. */
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
import { dirname, join } from 'node:path';
import { SnapError } from '../../../errors.ts';
import { emptyDirectory } from '../../../host/remove-tree.ts';
import { runTool } from '../../../transfer/run-tool.ts';
import type { ArchivedObject } from '../../reading/find-archive.ts';
import { lockFile } from '../../shared/lock-file.ts';
import { orTargetError, orTargetErrorNow } from '../target-error.ts';

/** A target directory before anything is written to it. It need not exist. */
export interface FoundDirectory {
  path: string;
  /** Whether it contains an interrupted restore of the same object. */
  isResumed: boolean;
  /** Free bytes of the filesystem that contains it, or will contain it. */
  freeBytes: number;
  /** Device number of that filesystem. */
  filesystem: number;
}

export interface FillableDirectory {
  /** Whether it contains an interrupted restore of the same object. */
  isResumed: boolean;
  /** Whether its filesystem does not distinguish names that differ only in case. */
  isCaseInsensitive: boolean;
  /** Names in it that the restore itself uses. A file of such a name is not restored, and the restore reports it. */
  ownNames: readonly string[];
  /** Maximum number of bytes to write. */
  maxBytes: number;
  /** Whether the restored files are kept if the restore fails. */
  isKept: boolean;
  /** Removes all restored files; `null` if the directory may contain other files. */
  clear: ((signal: AbortSignal) => Promise<void>) | null;
}

/** A locked target directory: no other process restores to it until it is disposed. */
export interface TargetDirectory extends FillableDirectory, Disposable {
  /** Removes the marker. Call it when everything is restored. */
  finish(): Promise<void>;
}

/** What is restored: its key, and what is known about it. */
export type RestoredObject = Pick<ArchivedObject, 'key' | 'facts'>;

/** The marker in a directory whose restore is not complete. */
const UNFINISHED = '.snap-to-s3-unfinished';

/** Names that may exist in an empty target directory: those of a new filesystem, and the marker. */
const HARMLESS = new Set(['lost+found', UNFINISHED]);

/** Changes nothing. @throws SnapError `TARGET` if the directory must not, or cannot, be written to. */
export function examineDirectory(
  path: string,
  snapshotId: string,
  object: RestoredObject,
  overwrite: boolean,
): FoundDirectory {
  return orTargetErrorNow(path, NOT_WRITABLE, () => {
    const marker = join(path, UNFINISHED);
    const mark = markOf(snapshotId, object);
    const existing = nearestExisting(path);
    if (existing === path && !overwrite) assertEmpty(path, marker, mark);
    if (!statSync(existing).isDirectory()) throw new Error(`${existing} is not a directory`);
    accessSync(existing, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = statfsSync(existing);
    return { path, isResumed: isMarked(marker, mark), freeBytes: bavail * bsize, filesystem: statSync(existing).dev };
  });
}

/**
 * Creates the directory if needed, locks it and marks it as unfinished. An interrupted restore of the same object is resumed.
 * @throws SnapError `TARGET` if the directory must not, or cannot, be written to, or another process is restoring to it.
 */
export async function openDirectory(
  path: string,
  snapshotId: string,
  object: RestoredObject,
  overwrite: boolean,
): Promise<TargetDirectory> {
  const { freeBytes } = examineDirectory(path, snapshotId, object, overwrite);
  const marker = join(path, UNFINISHED);
  const locked = await orTargetError(path, NOT_WRITABLE, () => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return lockFile(marker);
  });
  try {
    // Another restore may have started or finished between the first look and the lock.
    const { isResumed } = examineDirectory(path, snapshotId, object, overwrite);
    const isEmpty = contentOf(path).length === 0;
    orTargetErrorNow(path, NOT_WRITABLE, () => writeMark(locked.descriptor, markOf(snapshotId, object)));
    return {
      isResumed,
      isCaseInsensitive: isCaseInsensitive(path),
      ownNames: [UNFINISHED],
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

/** @throws SnapError `TARGET`; the reason of the signal. */
export const clearDirectory = (path: string, signal: AbortSignal): Promise<void> =>
  orTargetError(path, 'correct the cause, and run the same command again', () =>
    emptyDirectory(path, HARMLESS, signal),
  );

function writeMark(descriptor: number, mark: string): void {
  ftruncateSync(descriptor);
  writeSync(descriptor, mark, 0);
}

const NOT_WRITABLE = 'specify a directory that this user can write to';

/** The path itself, or the nearest directory above it that exists. */
const nearestExisting = (path: string): string =>
  existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));

const markOf = (snapshot: string, { key, facts }: RestoredObject): string =>
  `${JSON.stringify({ snapshot, key, etag: facts?.etag ?? null })}\n`;

/** @param mark the expected content of the marker; `null` for any. An empty marker is still being written. */
function isMarked(marker: string, mark: string | null): boolean {
  const found = lstatSync(marker, { throwIfNoEntry: false });
  if (!found?.isFile() || found.size === 0) return false;
  return mark === null || readFileSync(marker, 'utf8') === mark;
}

/**
 * Whether a directory may contain an interrupted restore of one or several partitions, whichever they are. Changes nothing.
 */
export function mayBeUnfinished(path: string): boolean {
  if (existsSync(join(path, UNFINISHED))) return true;
  const content = existsSync(path) && statSync(path).isDirectory() ? contentOf(path) : [];
  return content.length > 0 && content.every((name) => existsSync(join(path, name, UNFINISHED)));
}

const contentOf = (path: string): string[] => readdirSync(path).filter((name) => !HARMLESS.has(name));

function assertEmpty(path: string, marker: string, mark: string): void {
  if (isMarked(marker, mark)) return;
  const isOthers = isMarked(marker, null);
  const found = contentOf(path);
  if (isOthers || found.length > 0) {
    const what = isOthers ? 'contains an unfinished restore of another object' : `is not empty: ${found[0]}`;
    throw new SnapError('TARGET', `${path} ${what}`, { hint: 'specify another directory, or use --overwrite' });
  }
}

/** Tests whether the marker is also found in capital letters. */
const isCaseInsensitive = (path: string): boolean => existsSync(join(path, UNFINISHED.toUpperCase()));

const finish = (path: string, marker: string): Promise<void> =>
  keepingTime(path, () => rmSync(marker, { force: true }));

/** Applies a change to a directory, and sets the directory back to the modification time that it had. */
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
 * The prefix for symbolic links through which tar reaches paths that are too long. Disposal removes the links, including
 * those of an interrupted restore of the same object.
 */
export function shortcutLinks(path: string, { key }: Pick<ArchivedObject, 'key'>): ShortcutLinks {
  // The hash of the key keeps the names from colliding with names in the archive.
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
