/** Where an image is written to: a file that appears when it is whole, or a device that nobody uses. */
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BLOCK_KIND, type BlockTable } from '../archive/block-table.ts';
import { asError, SnapError } from '../errors.ts';
import { deviceSize } from '../host/block-devices.ts';
import { probe } from '../host/filesystems.ts';
import { mountsHere } from '../host/mounts.ts';
import { formatBytes } from '../lib/units.ts';
import type { ArchivedObject } from './find-archive.ts';

export interface Target extends AsyncDisposable {
  /** What is written to. */
  path: string;
  /** What it is called. */
  name: string;
  isFile: boolean;
  /** Whether it reads as zero wherever nothing was written. */
  isBlank: boolean;
  /** Said of what was written when it is worth nothing. */
  loss: string;
  /** In bytes; nothing happens to a device. */
  setLength(bytes: number): void;
  /** The image is whole: it gets its name, and stays. */
  keep(): void;
  /** The image is not whole, but a later run can go on with it; `null` where none could. */
  leave: (() => void) | null;
}

/** @throws SnapError `TARGET` for what must not, or cannot, be written to. */
export async function openTarget(
  target: { kind: 'file' | 'device'; path: string },
  overwrite: boolean,
  object: ArchivedObject,
  table: BlockTable | null,
  signal: AbortSignal,
): Promise<Target> {
  if (target.kind === 'file') return openFile(target.path, overwrite, neededBytes(object, table));
  await checkDevice(target.path, overwrite, object, signal);
  return { ...holdDevice(target.path, target.path), leave: () => {} };
}

/** Nobody can mount a device that is held exclusively. @param name what it is called. @throws SnapError `TARGET` */
export function holdDevice(path: string, name: string): Target {
  const descriptor = openExclusively(path, name);
  return {
    path,
    name,
    isFile: false,
    isBlank: false,
    loss: `what is on ${name} now is worth nothing`,
    setLength: () => {},
    keep: () => {},
    leave: null,
    [Symbol.asyncDispose]: async () => closeSync(descriptor),
  };
}

function openExclusively(path: string, name: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_EXCL);
  } catch (cause) {
    throw new SnapError('TARGET', `${name} cannot be written: ${asError(cause).message}`, {
      hint: 'somebody uses it: look at it with lsblk',
      cause,
    });
  }
}

/** Of the parts of a disk that are not zero; what is known at the least. */
function neededBytes({ facts }: ArchivedObject, table: BlockTable | null): number {
  if (table) return table.kinds.filter((kind) => kind === BLOCK_KIND.data).length * table.blockBytes;
  return facts?.cipher === 'none' ? facts.storedBytes : 0;
}

/** An earlier run that was broken off may have left the unfinished file. */
function openFile(path: string, overwrite: boolean, needed: number): Target {
  const unfinished = `${path}.unfinished`;
  if (!overwrite && existsSync(path)) {
    throw new SnapError('TARGET', `${path} is there already`, { hint: 'give another name, or --overwrite' });
  }
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    if (needed > bavail * bsize) {
      throw new SnapError('TARGET', `${path} needs ${formatBytes(needed)}, there are ${formatBytes(bavail * bsize)}`, {
        hint: 'make room, or restore to another filesystem',
      });
    }
    closeSync(openSync(unfinished, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
  } catch (cause) {
    if (cause instanceof SnapError) throw cause;
    throw new SnapError('TARGET', `${path} cannot be written: ${asError(cause).message}`, {
      hint: 'the directory must be there, and be writable',
      cause,
    });
  }
  let isLeft = false;
  return {
    path: unfinished,
    name: path,
    isFile: true,
    isBlank: statSync(unfinished).size === 0,
    loss: 'no file was left',
    setLength: (bytes) => truncateSync(unfinished, bytes),
    keep: () => renameSync(unfinished, path),
    leave: () => {
      isLeft = true;
    },
    async [Symbol.asyncDispose]() {
      if (!isLeft) rmSync(unfinished, { force: true });
    },
  };
}

async function checkDevice(
  path: string,
  overwrite: boolean,
  { facts }: ArchivedObject,
  signal: AbortSignal,
): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isBlockDevice()) {
    throw new SnapError('TARGET', `${path} is no block device`, { hint: 'give the device itself, not a link to it' });
  }
  const users = [...mountsOf(path), ...holdersOf(path)];
  if (users.length > 0) {
    throw new SnapError('TARGET', `${path} is in use: ${users.join(', ')}`, { hint: 'unmount it first' });
  }
  const size = deviceSize(path);
  if (facts && facts.plainBytes > size) {
    throw new SnapError('TARGET', `${path} has ${formatBytes(size)}, the image ${formatBytes(facts.plainBytes)}`, {
      hint: 'give a larger device',
    });
  }
  const { type, tableType } = await probe(path, signal);
  const content = type ?? tableType;
  if (content !== null && !overwrite) {
    throw new SnapError('TARGET', `${path} holds something: ${content}`, {
      hint: 'look at it with lsblk; --overwrite destroys it',
    });
  }
}

/** Of the device and its partitions. */
const mountsOf = (path: string): string[] =>
  mountsHere()
    .filter(({ source }) => source === path || (source.startsWith(path) && /^p?\d+$/.test(source.slice(path.length))))
    .map(({ directory }) => directory);

/** Device mappers, RAID and loop devices on it, and swap. */
function holdersOf(path: string): string[] {
  const holders = join('/sys/class/block', basename(path), 'holders');
  const swaps = readFileSync('/proc/swaps', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${path} `) || new RegExp(`^${path}p?\\d+ `).test(line));
  return [...(existsSync(holders) ? readdirSync(holders) : []), ...swaps.map(() => 'swap')];
}
