/**
 * Removes directory trees. Names are bytes, which need not be valid text, and trees may be deeper than the longest path:
 * each directory is opened, and its entries are removed relative to it. Links are removed and not followed.
 */
import { constants } from 'node:fs';
import { lstat, open, readdir, rmdir, unlink } from 'node:fs/promises';
import { SnapError } from '../errors.ts';
import { minutes } from '../lib/clock.ts';
import { cleanupError, cleanupSignal } from '../lib/disposal.ts';
import { inParallel } from '../lib/parallel.ts';
import { newRunDirectory } from '../lib/temporary-files.ts';

/** Removing ten million files takes minutes on a disk and hours on a network filesystem. */
const REMOVAL_TIMEOUT = minutes(360);

/** Files of a directory that are removed at the same time. Together they take less time than rm(1). */
const CONCURRENCY = 8;

/** @throws SnapError `CLEANUP_FAILED` if something cannot be removed, or `INTERRUPTED`. */
export async function removeTree(path: string, signal: AbortSignal): Promise<void> {
  try {
    const isDirectory = (await lstat(path)).isDirectory();
    await removeEntry({ path: Buffer.from(path), isDirectory }, signal);
  } catch (cause) {
    if (isMissing(cause)) return;
    if (cause instanceof SnapError && cause.code === 'INTERRUPTED') throw cause;
    throw cleanupError(path, `rm -rf -- ${path}`, cause);
  }
}

/**
 * Removes what a directory contains.
 * @param kept names that stay.
 * @throws the first error of the system, after everything else was removed; the reason of the signal.
 */
export const emptyDirectory = (path: string, kept: ReadonlySet<string>, signal: AbortSignal): Promise<void> =>
  removeBelow(Buffer.from(path), kept, signal);

const NOTHING: ReadonlySet<string> = new Set();

async function removeBelow(path: Buffer, kept: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const here = Buffer.from(`/proc/self/fd/${directory.fd}/`);
  const found = await readdir(here, { encoding: 'buffer', withFileTypes: true });
  const entries = found
    .filter(({ name }) => !kept.has(name.toString('latin1')))
    .map((entry) => ({ path: Buffer.concat([here, entry.name]), isDirectory: entry.isDirectory() }));
  const failures: unknown[] = [];
  const remove = async (entry: Entry) => {
    try {
      await removeEntry(entry, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!isMissing(error)) failures.push(error);
    }
  };
  const isFile = ({ isDirectory }: Entry) => !isDirectory;
  await inParallel(entries.filter(isFile), CONCURRENCY, signal, remove);
  // One after another, so that no more directories are open than the tree is deep.
  for (const { path, isDirectory } of entries) if (isDirectory) await remove({ path, isDirectory });
  if (failures.length > 0) throw failures[0];
}

interface Entry {
  path: Buffer;
  isDirectory: boolean;
}

async function removeEntry({ path, isDirectory }: Entry, signal: AbortSignal): Promise<void> {
  if (!isDirectory) return unlink(path);
  await removeBelow(path, NOTHING, signal);
  await rmdir(path);
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/**
 * Creates a directory for a large tree, named after this process. Disposing of it removes the tree.
 * @throws SnapError `OUTPUT`; on disposal, SnapError `CLEANUP_FAILED`.
 */
export function treeDirectory(base: string): AsyncDisposable & { path: string } {
  const path = newRunDirectory(base);
  return {
    path,
    [Symbol.asyncDispose]: () => removeTree(path, cleanupSignal(REMOVAL_TIMEOUT)),
  };
}
