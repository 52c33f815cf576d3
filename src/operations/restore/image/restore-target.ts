/** Where an image is written to: a file that appears when it is whole, or a device that nobody uses. */
import {
  accessSync,
  close,
  constants,
  existsSync,
  fchmodSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { rename, rm, truncate } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { asError, SnapError } from '../../../errors.ts';
import { deviceSize } from '../../../host/devices/block-devices.ts';
import { probe } from '../../../host/filesystems/filesystems.ts';
import { mountsHere } from '../../../host/filesystems/mounts.ts';
import { formatBytes } from '../../../lib/units.ts';
import type { ImageSize } from '../../reading/image-size.ts';
import { lockFile } from '../../shared/lock-file.ts';
import type { DeviceTarget } from '../../shared/settings/restore.ts';
import { orTargetError, orTargetErrorNow } from '../target-error.ts';
import { renameToNew } from './rename-to-new.ts';

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
  /** In bytes; nothing happens to a device. @throws SnapError `TARGET` for one that is smaller. */
  setLength(bytes: number): Promise<void>;
  /** The image is whole: it gets its name, and stays. @throws SnapError `TARGET` where it cannot get it */
  keep(): Promise<void>;
  /** The image is not whole, but a later run can go on with it; `null` where none could. */
  leave: (() => void) | null;
}

/** Before anything is written to it. */
export interface FoundTarget {
  /** Bytes that the image takes there, at the most; `null` where that is not known. */
  neededBytes: number | null;
  /** Of the device, or free for the file: what an unfinished one has is its own. */
  roomBytes: number;
  /** What is destroyed, e.g. `gpt`; `null` where nothing that is known is. */
  holds: string | null;
}

type FileOrDevice = { kind: 'file'; path: string } | DeviceTarget;

/** Changes nothing. @throws SnapError `TARGET` for what must not, or cannot, be written to. */
export const lookAtTarget = async (
  { kind, path }: FileOrDevice,
  overwrite: boolean,
  size: ImageSize,
  signal: AbortSignal,
): Promise<FoundTarget> =>
  kind === 'file' ? lookAtFile(path, overwrite, size) : lookAtDevice(path, overwrite, size, signal);

/** @throws SnapError `TARGET` for what must not, or cannot, be written to. */
export async function openTarget(
  target: FileOrDevice,
  overwrite: boolean,
  size: ImageSize,
  signal: AbortSignal,
): Promise<Target> {
  await lookAtTarget(target, overwrite, size, signal);
  if (target.kind === 'file') return openFile(target.path, overwrite);
  return {
    ...holdDevice(target.path, target.path, `${target.path} holds neither what it held before nor the image`),
    leave: () => {},
  };
}

/**
 * Nobody can mount a device that is held exclusively.
 * @param name what it is called. @param loss what becomes of what was written when it is worth nothing, as a clause.
 * @throws SnapError `TARGET`
 */
export function holdDevice(path: string, name: string, loss: string): Target {
  const descriptor = openExclusively(path, name);
  return {
    path,
    name,
    isFile: false,
    isBlank: false,
    loss,
    setLength: async (bytes) => assertLargeEnough(path, name, bytes),
    keep: async () => {},
    leave: null,
    // The last who closes a device waits until all that was written to it is on the disk.
    [Symbol.asyncDispose]: () => promisify(close)(descriptor),
  };
}

function openExclusively(path: string, name: string): number {
  return orTargetErrorNow(name, 'somebody uses it: look at it with lsblk', () =>
    openSync(path, constants.O_RDWR | constants.O_EXCL),
  );
}

/** What the blocks of a file are counted in. Source: stat(2). */
const COUNTED_IN = 512;

const NOT_WRITABLE = 'the directory must be there, and be writable';

const unfinishedName = (path: string): string => `${path}.unfinished`;

/** An earlier run that was broken off may have left the unfinished file. */
function lookAtFile(path: string, overwrite: boolean, { dataBytes }: ImageSize): FoundTarget {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there && !overwrite) {
    throw new SnapError('TARGET', `${path} is there already`, { hint: 'give another name, or --overwrite' });
  }
  if (there && !there.isFile()) {
    throw new SnapError('TARGET', `${path} is no regular file`, {
      hint: 'give another name; --to-device writes to a block device',
    });
  }
  const roomBytes = orTargetErrorNow(path, NOT_WRITABLE, () => {
    const { bavail, bsize } = statfsSync(dirname(path));
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    const begun = lstatSync(unfinishedName(path), { throwIfNoEntry: false });
    return bavail * bsize + (begun?.blocks ?? 0) * COUNTED_IN;
  });
  if (dataBytes !== null && dataBytes > roomBytes) {
    throw new SnapError('TARGET', `${path} needs ${formatBytes(dataBytes)}, there are ${formatBytes(roomBytes)}`, {
      hint: 'make room, or restore to another filesystem',
    });
  }
  return { neededBytes: dataBytes, roomBytes, holds: there ? 'a file' : null };
}

async function openFile(path: string, overwrite: boolean): Promise<Target> {
  const unfinished = unfinishedName(path);
  const locked = await orTargetError(path, NOT_WRITABLE, () => lockFile(unfinished));
  fchmodSync(locked.descriptor, 0o600);
  let isLeft = false;
  const leave = () => {
    isLeft = true;
  };
  return {
    path: unfinished,
    name: path,
    isFile: true,
    isBlank: statSync(unfinished).size === 0,
    loss: 'no file was left',
    setLength: (bytes) => truncate(unfinished, bytes),
    keep: async () => {
      // It is whole, and stays whether it gets its name or not.
      leave();
      await giveName(unfinished, path, overwrite);
    },
    leave,
    async [Symbol.asyncDispose]() {
      if (!isLeft) await rm(unfinished, { force: true });
      locked[Symbol.dispose]();
    },
  };
}

/** What has come to be there since the restore began is not destroyed. @throws SnapError `TARGET` */
async function giveName(unfinished: string, path: string, overwrite: boolean): Promise<void> {
  try {
    if (overwrite) await rename(unfinished, path);
    else await renameToNew(unfinished, path);
  } catch (cause) {
    throw new SnapError('TARGET', `the image is whole, but cannot be called ${path}: ${asError(cause).message}`, {
      hint: `it is ${unfinished}: rename it`,
      cause,
    });
  }
}

async function lookAtDevice(
  path: string,
  overwrite: boolean,
  { plainBytes }: ImageSize,
  signal: AbortSignal,
): Promise<FoundTarget> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isBlockDevice()) {
    throw new SnapError('TARGET', `${path} is no block device`, { hint: 'give the device itself, not a link to it' });
  }
  const users = [...mountsOf(path), ...holdersOf(path)];
  if (users.length > 0) {
    throw new SnapError('TARGET', `${path} is in use: ${users.join(', ')}`, { hint: 'unmount it first' });
  }
  if (plainBytes !== null) assertLargeEnough(path, path, plainBytes);
  const { type, tableType, isContradictory } = await probe(path, signal);
  const content = type ?? tableType ?? (isContradictory ? 'several things at once, by its signatures' : null);
  if (content !== null && !overwrite) {
    throw new SnapError('TARGET', `${path} holds something: ${content}`, {
      hint: 'look at it with lsblk; --overwrite destroys it',
    });
  }
  return { neededBytes: plainBytes, roomBytes: deviceSize(path), holds: content };
}

/** @param name what it is called. @throws SnapError `TARGET` */
function assertLargeEnough(path: string, name: string, bytes: number): void {
  const size = deviceSize(path);
  if (bytes <= size) return;
  throw new SnapError('TARGET', `${name} has ${formatBytes(size)}, the image ${formatBytes(bytes)}`, {
    hint: 'give a larger device',
  });
}

/** Whether it is the device, or one of its partitions. */
export const isOrIsOn = (name: string, device: string): boolean =>
  name === device || (name.startsWith(device) && /^p?\d+$/.test(name.slice(device.length)));

/** Of the device and its partitions. */
const mountsOf = (path: string): string[] =>
  mountsHere()
    .filter(({ source }) => isOrIsOn(source, path))
    .map(({ directory }) => directory);

/** Device mappers, RAID and loop devices on it, and swap. */
function holdersOf(path: string): string[] {
  const holders = join('/sys/class/block', basename(path), 'holders');
  const swaps = readFileSync('/proc/swaps', 'utf8')
    .split('\n')
    .filter((line) => isOrIsOn(line.split(' ', 1)[0] ?? '', path));
  return [...(existsSync(holders) ? readdirSync(holders) : []), ...swaps.map(() => 'swap')];
}
