/** A file that only this process writes to: owned by its user, not reached through a link, and locked. */
import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { SnapError } from '../../errors.ts';
import { seconds } from '../../lib/clock.ts';
import { describeOutcome } from '../../transfer/outcome.ts';
import { outcomeWithin, startStage } from '../../transfer/process.ts';

export interface LockedFile extends Disposable {
  /** Open for reading and writing. */
  descriptor: number;
}

/** The program that locks a file through an inherited file descriptor. */
export const LOCKING_TOOL = 'flock';

/** The exit code that flock is to return if another process holds the lock. */
const IS_LOCKED = 75;

/** Limits the wait, because the server of a network filesystem may not respond. */
const LOCK_TIMEOUT = seconds(60);

/** Attempts to lock the file. Another one is needed if the previous owner deleted the file before it released the lock. */
const MAX_ATTEMPTS = 5;

/**
 * Opens a file, creates it if it does not exist, and locks it. The lock is released by disposal, and when the process
 * exits.
 * @throws SnapError `TARGET` for a file that has other links, belongs to another user, or is locked by another process;
 *   the errors of open(2), such as `ELOOP` for a symbolic link.
 */
export async function lockFile(path: string): Promise<LockedFile> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      assertOwn(path, descriptor);
      await lock(path, descriptor);
      if (isStill(path, descriptor)) return { descriptor, [Symbol.dispose]: () => closeSync(descriptor) };
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    closeSync(descriptor);
  }
  throw inUse(path);
}

/** Refuses a file that another user could read or replace. */
function assertOwn(path: string, descriptor: number): void {
  const { uid, nlink } = fstatSync(descriptor);
  const isFile = fstatSync(descriptor).isFile();
  if (isFile && nlink <= 1 && uid === process.geteuid?.()) return;
  const what = !isFile ? 'is not a regular file' : nlink > 1 ? 'has other hard links' : 'belongs to another user';
  throw new SnapError('TARGET', `${path} already exists and ${what}`, {
    hint: 'remove it, or restore to a directory that no other user can write to',
  });
}

/** The lock belongs to the open file description, so it remains after flock has exited. */
async function lock(path: string, descriptor: number): Promise<void> {
  const argv = [LOCKING_TOOL, '--exclusive', '--nonblock', '--conflict-exit-code', String(IS_LOCKED), '3'];
  const locking = startStage(argv, { stdin: null, stdout: null, others: [descriptor] });
  const outcome = await outcomeWithin(locking, LOCK_TIMEOUT);
  const { exitCode, stderrTail } = outcome;
  if (exitCode === 0) return;
  if (exitCode === IS_LOCKED) throw inUse(path);
  throw new SnapError('TARGET', `could not lock ${path}: ${stderrTail.trim() || describeOutcome(outcome)}`, {
    hint: 'restore to a filesystem that supports file locks',
  });
}

/** Whether the path still refers to the file that was opened. */
function isStill(path: string, descriptor: number): boolean {
  const [here, there] = [fstatSync(descriptor), lstatSync(path, { throwIfNoEntry: false })];
  return there?.ino === here.ino && there.dev === here.dev;
}

const inUse = (path: string): SnapError =>
  new SnapError('TARGET', `${path} is in use: another process is restoring to it`, {
    hint: 'wait until that restore has finished, or specify another target',
  });
