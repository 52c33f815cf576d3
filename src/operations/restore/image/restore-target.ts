/** The target of a restored image: a file that gets its name when it is complete, or an unused block device. */
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

export interface OpenTarget extends AsyncDisposable {
  /** The path to write to. */
  path: string;
  /** The name for messages. */
  name: string;
  isFile: boolean;
  /** Whether unwritten ranges read as zeros. */
  isBlank: boolean;
  /** What happens to the written data if it differs from the archive, as a clause for messages. */
  loss: string;
  /** Sets the length of a file; checks that of a device. @throws SnapError `TARGET` if the device is smaller. */
  setLength(bytes: number): Promise<void>;
  /** Gives the complete image its name and keeps it. @throws SnapError `TARGET` if the file cannot be renamed. */
  keep(): Promise<void>;
  /** Keeps the incomplete image, so that a later run can resume; `null` if no run could. */
  leave: (() => void) | null;
}

/** A target before anything is written to it. */
export interface FoundTarget {
  /** Maximum number of bytes that the image needs; `null` if not known. */
  neededBytes: number | null;
  /** The size of the device, or the free space for the file including the space of its unfinished predecessor. */
  roomBytes: number;
  /** The detected content that would be destroyed, e.g. `gpt`; `null` if none was detected. */
  holds: string | null;
}

type FileOrDevice = { kind: 'file'; path: string } | DeviceTarget;

/** Changes nothing. @throws SnapError `TARGET` if the target must not, or cannot, be written to. */
export const examineTarget = async (
  { kind, path }: FileOrDevice,
  overwrite: boolean,
  size: ImageSize,
  signal: AbortSignal,
): Promise<FoundTarget> =>
  kind === 'file' ? examineFile(path, overwrite, size) : examineDevice(path, overwrite, size, signal);

/** Opens the target for writing. @throws SnapError `TARGET` if it must not, or cannot, be written to. */
export async function openTarget(
  target: FileOrDevice,
  overwrite: boolean,
  size: ImageSize,
  signal: AbortSignal,
): Promise<OpenTarget> {
  await examineTarget(target, overwrite, size, signal);
  if (target.kind === 'file') return openFile(target.path, overwrite);
  return {
    ...holdDevice(
      target.path,
      target.path,
      `the previous content of ${target.path} is destroyed, and the image is not complete`,
    ),
    leave: () => {},
  };
}

/**
 * Opens a device exclusively, so that no process can mount it.
 * @param name the name for messages.
 * @param loss what happens to the written data if it differs from the archive, as a clause.
 * @throws SnapError `TARGET` if the device is in use.
 */
export function holdDevice(path: string, name: string, loss: string): OpenTarget {
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
    // The last close of a device waits until all data is written to the disk.
    [Symbol.asyncDispose]: () => promisify(close)(descriptor),
  };
}

function openExclusively(path: string, name: string): number {
  return orTargetErrorNow(name, 'the device may be in use: check it with lsblk', () =>
    openSync(path, constants.O_RDWR | constants.O_EXCL),
  );
}

/** Unit in bytes of the `blocks` of a file. Source: stat(2). */
const STAT_BLOCK_BYTES = 512;

const NOT_WRITABLE = 'specify a file in an existing, writable directory';

const unfinishedName = (path: string): string => `${path}.unfinished`;

function examineFile(path: string, overwrite: boolean, { dataBytes }: ImageSize): FoundTarget {
  const existing = lstatSync(path, { throwIfNoEntry: false });
  if (existing && !overwrite) {
    throw new SnapError('TARGET', `${path} already exists`, { hint: 'specify another file, or use --overwrite' });
  }
  if (existing && !existing.isFile()) {
    throw new SnapError('TARGET', `${path} is not a regular file`, {
      hint: 'specify another file; to write to a block device, use --to-device',
    });
  }
  const roomBytes = orTargetErrorNow(path, NOT_WRITABLE, () => {
    const { bavail, bsize } = statfsSync(dirname(path));
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    const unfinished = lstatSync(unfinishedName(path), { throwIfNoEntry: false });
    return bavail * bsize + (unfinished?.blocks ?? 0) * STAT_BLOCK_BYTES;
  });
  if (dataBytes !== null && dataBytes > roomBytes) {
    throw new SnapError('TARGET', `${path} needs ${formatBytes(dataBytes)}; ${formatBytes(roomBytes)} is free`, {
      hint: 'free space, or restore to another filesystem',
    });
  }
  return { neededBytes: dataBytes, roomBytes, holds: existing ? 'a file' : null };
}

async function openFile(path: string, overwrite: boolean): Promise<OpenTarget> {
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
    loss: 'the incomplete file was deleted',
    setLength: (bytes) => truncate(unfinished, bytes),
    keep: async () => {
      // The image is complete, so it is kept even if it cannot be renamed.
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

/** Does not replace a file that was created since the restore started. @throws SnapError `TARGET` */
async function giveName(unfinished: string, path: string, overwrite: boolean): Promise<void> {
  try {
    if (overwrite) await rename(unfinished, path);
    else await renameToNew(unfinished, path);
  } catch (cause) {
    const why = asError(cause).message;
    throw new SnapError('TARGET', `the image is complete, but could not be renamed to ${path}: ${why}`, {
      hint: `rename the file yourself: ${unfinished}`,
      cause,
    });
  }
}

async function examineDevice(
  path: string,
  overwrite: boolean,
  { plainBytes }: ImageSize,
  signal: AbortSignal,
): Promise<FoundTarget> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isBlockDevice()) {
    throw new SnapError('TARGET', `${path} is not a block device`, {
      hint: 'specify the device itself, not a link to it',
    });
  }
  const users = [...mountsOf(path), ...holdersOf(path)];
  if (users.length > 0) {
    throw new SnapError('TARGET', `${path} is in use by ${users.join(', ')}`, {
      hint: 'unmount the device, or stop using it, first',
    });
  }
  if (plainBytes !== null) assertLargeEnough(path, path, plainBytes);
  const { type, tableType, isContradictory } = await probe(path, signal);
  const content = type ?? tableType ?? (isContradictory ? 'several contradictory signatures' : null);
  if (content !== null && !overwrite) {
    throw new SnapError('TARGET', `${path} is not empty: it holds ${content}`, {
      hint: `check the device with lsblk ${path}; to destroy its content, use --overwrite`,
    });
  }
  return { neededBytes: plainBytes, roomBytes: deviceSize(path), holds: content };
}

/** @param name the name for messages. @throws SnapError `TARGET` if the device is smaller. */
function assertLargeEnough(path: string, name: string, bytes: number): void {
  const size = deviceSize(path);
  if (bytes <= size) return;
  throw new SnapError('TARGET', `${name} has ${formatBytes(size)}, but the image has ${formatBytes(bytes)}`, {
    hint: 'specify a larger device',
  });
}

/** Whether `name` is the device or one of its partitions. */
export const isOrIsOn = (name: string, device: string): boolean =>
  name === device || (name.startsWith(device) && /^p?\d+$/.test(name.slice(device.length)));

/** The mount points of the device and its partitions. */
const mountsOf = (path: string): string[] =>
  mountsHere()
    .filter(({ source }) => isOrIsOn(source, path))
    .map(({ directory }) => directory);

/** The device mapper, RAID and loop devices that use the device, and swap. */
function holdersOf(path: string): string[] {
  const holders = join('/sys/class/block', basename(path), 'holders');
  const swaps = readFileSync('/proc/swaps', 'utf8')
    .split('\n')
    .filter((line) => isOrIsOn(line.split(' ', 1)[0] ?? '', path));
  return [...(existsSync(holders) ? readdirSync(holders) : []), ...swaps.map(() => 'swap')];
}
