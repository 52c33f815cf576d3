/** A file that this process alone writes to: nobody else's, nothing that a link leads to, and locked. */
import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { SnapError } from '../../errors.ts';
import { seconds } from '../../lib/clock.ts';
import { describeOutcome } from '../../transfer/outcome.ts';
import { outcomeWithin, startStage } from '../../transfer/process.ts';

export interface LockedFile extends Disposable {
  /** For reading and writing. */
  descriptor: number;
}

/** The program that locks a file which another program has opened. */
export const LOCKING_TOOL = 'flock';

const IS_LOCKED = 75;

/** The server of a network filesystem may not answer. */
const LOCKS_WITHIN = seconds(60);

/** How often the file may be gone again once it is locked: whoever had it before has finished. */
const TRIES = 5;

/**
 * Opens a file, or makes it, and locks it. The lock ends with the disposal, and with the process.
 * @throws SnapError `TARGET` for a link, a file of another user, and one that another process has locked; as open(2)
 */
export async function lockFile(path: string): Promise<LockedFile> {
  for (let count = 0; count < TRIES; count++) {
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

/** Whoever made it could read what is written to it, or exchange it. */
function assertOwn(path: string, descriptor: number): void {
  const { uid, nlink } = fstatSync(descriptor);
  const isFile = fstatSync(descriptor).isFile();
  if (isFile && nlink <= 1 && uid === process.geteuid?.()) return;
  const what = !isFile ? 'is no regular file' : nlink > 1 ? 'has other names' : 'belongs to another user';
  throw new SnapError('TARGET', `${path} is there already, and ${what}`, {
    hint: 'remove it, or restore to a directory that nobody else can write to',
  });
}

/** A lock belongs to what was opened, not to the process that asked for it. */
async function lock(path: string, descriptor: number): Promise<void> {
  const argv = [LOCKING_TOOL, '--exclusive', '--nonblock', '--conflict-exit-code', String(IS_LOCKED), '3'];
  const locking = startStage(argv, { stdin: null, stdout: null, others: [descriptor] });
  const outcome = await outcomeWithin(locking, LOCKS_WITHIN);
  const { exitCode, stderrTail } = outcome;
  if (exitCode === 0) return;
  if (exitCode === IS_LOCKED) throw inUse(path);
  throw new SnapError('TARGET', `${path} cannot be locked: ${stderrTail.trim() || describeOutcome(outcome)}`, {
    hint: 'restore to a filesystem that has file locks',
  });
}

function isStill(path: string, descriptor: number): boolean {
  const [here, there] = [fstatSync(descriptor), lstatSync(path, { throwIfNoEntry: false })];
  return there?.ino === here.ino && there.dev === here.dev;
}

const inUse = (path: string): SnapError =>
  new SnapError('TARGET', `${path} is in use: another process is restoring there`, {
    hint: 'wait until that restore has ended, or give another target',
  });
