/**
 * Mounting the filesystems of a throw-away volume for reading.
 *
 * Snapshots are taken of running machines, so journals hold what was written last. The device is writable and the
 * mount is read-only: the kernel then replays the journal and nothing else changes. `noload` and its relatives would
 * show the filesystem without files that were synced before the snapshot.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { asError, SnapError } from '../../errors.ts';
import { minutes } from '../../lib/clock.ts';
import { cleanupError, cleanupSignal } from '../../lib/disposal.ts';
import { waitFor } from '../../lib/wait.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';
import { isInstalled } from '../tools.ts';
import { howToGetDriver } from './missing-driver.ts';

export interface Mount extends AsyncDisposable {
  path: string;
  /** The program that mounted it; `null` for the kernel. */
  helper: string | null;
}

export interface MountOptions {
  /** Whether journals are replayed. */
  replay: boolean;
  signal: AbortSignal;
}

/** What `mount` is told besides `ro,nodev,nosuid,noexec,noatime`, by filesystem. */
const EXTRA: Record<string, { always?: string[]; withoutReplay?: string[] }> = {
  // A damaged filesystem may ask for a panic of the kernel that finds it.
  ext2: { always: ['errors=remount-ro'] },
  ext3: { always: ['errors=remount-ro'], withoutReplay: ['noload'] },
  ext4: { always: ['errors=remount-ro'], withoutReplay: ['noload'] },
  // A copy of a disk has the UUIDs of the disk, which may well be mounted too.
  xfs: { always: ['nouuid'], withoutReplay: ['norecovery'] },
  // The whole filesystem, whichever subvolume is its default.
  btrfs: { always: ['subvolid=5'], withoutReplay: ['rescue=nologreplay'] },
  // Names are in UTF-16 on the disk; without this, letters beyond Latin-1 become question marks, or files are left out.
  vfat: { always: ['utf8'] },
  ntfs: { always: ['iocharset=utf8'] },
  exfat: { always: ['iocharset=utf8'] },
};

/**
 * Programs that mount in user space what a kernel may lack; the kernel is tried first. They show what it would show,
 * except that grub-mount gives short names (`EFI`) in lower case, which FAT itself does not tell apart.
 */
const HELPERS: Record<string, (device: string, path: string) => string[]> = {
  ntfs: (device, path) => ['ntfs-3g', '-o', 'ro,noatime,streams_interface=none', device, path],
  vfat: (device, path) => ['grub-mount', device, path],
};

/** How a filesystem of this type would be mounted here: by the kernel, by a helper, or (`null`) not at all. */
export function mounterOf(type: string, searchPath: string): string | null {
  if (isInKernel(type)) return 'the kernel';
  const helper = HELPERS[type]?.('', '')[0];
  return helper !== undefined && isInstalled(helper, searchPath) ? helper : null;
}

export function isInKernel(type: string): boolean {
  if (filesystemsKnown().includes(type)) return true;
  const modules = `/lib/modules/${release()}/modules.dep`;
  return existsSync(modules) && readFileSync(modules, 'utf8').includes(`/${type}.ko`);
}

const filesystemsKnown = (): string[] =>
  readFileSync('/proc/filesystems', 'utf8')
    .split('\n')
    .map((line) => line.split('\t')[1] ?? '');

/**
 * @param directory made if it is not there, and removed again; it must not be a link.
 * @throws SnapError `MOUNT_REFUSED` with the kernel's reason where it does not take the filesystem, or has no driver for
 *   it: the caller decides what becomes of the partition. `MOUNT_FAILED` where anything else went wrong.
 */
export async function mountReadOnly(
  device: string,
  type: string,
  directory: string,
  options: MountOptions,
): Promise<Mount> {
  makeMountPoint(directory);
  let helper: string | null;
  try {
    helper = await mountByKernelOrHelper(device, type, directory, options);
  } catch (error) {
    // A mount that was cancelled may have happened all the same.
    if (isMounted(directory)) await unmount(device, directory);
    else rmdirSync(directory);
    throw error;
  }
  return { path: directory, helper, [Symbol.asyncDispose]: () => unmount(device, directory) };
}

/** What `mount` is told besides of a filesystem that is to be filled. */
const FILLING: Record<string, string[]> = {
  xfs: ['nouuid'],
  btrfs: ['subvolid=5'],
  // Owners and modes that FAT cannot keep are no failure.
  vfat: ['quiet', 'utf8'],
};

/**
 * Mounts a new filesystem, to be filled. Devices and set-ID files can be made there, and do nothing.
 * @param directory as `mountReadOnly` has it.
 * @throws SnapError `MOUNT_REFUSED`, `MOUNT_FAILED`
 */
export async function mountForFilling(
  device: string,
  type: string,
  directory: string,
  signal: AbortSignal,
): Promise<Mount> {
  makeMountPoint(directory);
  const flags = ['rw', 'nodev', 'nosuid', 'noexec', 'noatime', ...(FILLING[type] ?? [])];
  try {
    await runTool(['mount', '-i', '-t', type, '-o', flags.join(','), '--', device, directory], { signal });
  } catch (error) {
    if (isMounted(directory)) await unmount(device, directory);
    else rmdirSync(directory);
    throw error instanceof ToolError ? mountFailed(device, type, error) : error;
  }
  return { path: directory, helper: null, [Symbol.asyncDispose]: () => unmount(device, directory) };
}

export const isMounted = (directory: string): boolean => mountsHere().some((mount) => mount.directory === directory);

/** All mounts of this machine, in the order in which they were made. */
export const mountsHere = (): { source: string; directory: string }[] =>
  readFileSync('/proc/self/mounts', 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [source = '', directory = ''] = line.split(' ');
      return { source, directory: directory.replace(/\\([0-7]{3})/g, octal) };
    });

/** The kernel writes blanks in mount points as `\040`. */
const octal = (_all: string, code: string): string => String.fromCharCode(Number.parseInt(code, 8));

function makeMountPoint(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const found = lstatSync(directory);
  if (!found.isDirectory() || readdirSync(directory).length > 0) {
    throw new SnapError('MOUNT_FAILED', `${directory} is not an empty directory`, {
      hint: 'unmount or remove what an earlier run may have left there, or choose another --mount-point',
    });
  }
}

async function mountByKernelOrHelper(
  device: string,
  type: string,
  directory: string,
  { replay, signal }: MountOptions,
): Promise<string | null> {
  const { always = [], withoutReplay = [] } = EXTRA[type] ?? {};
  const flags = ['ro', 'nodev', 'nosuid', 'noexec', 'noatime', ...always, ...(replay ? [] : withoutReplay)];
  try {
    await runTool(['mount', '-i', '-t', type, '-o', flags.join(','), '--', device, directory], {
      signal,
      within: minutes(30),
    });
    return null;
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause;
    const helper = HELPERS[type]?.(device, directory);
    if (!helper) throw mountFailed(device, type, cause);
    await mountByHelper(helper, device, type, cause, signal);
    return helper[0] ?? null;
  }
}

async function mountByHelper(
  argv: string[],
  device: string,
  type: string,
  kernelError: ToolError,
  signal: AbortSignal,
): Promise<void> {
  try {
    await runTool(argv, { signal, within: minutes(30) });
  } catch (cause) {
    signal.throwIfAborted();
    throw mountFailed(device, type, cause instanceof ToolError ? cause : kernelError);
  }
}

function mountFailed(device: string, type: string, cause: ToolError): SnapError {
  const reason = reasonOf(cause);
  if (cause.tool === 'mount' && NO_DRIVER.test(reason)) {
    const hint = howToGetDriver(type);
    const message = `this machine has no driver for ${type} (${reason}); to have the files archived, ${hint}`;
    return new SnapError('MOUNT_REFUSED', message, { hint, cause });
  }
  const code = isRefusal(cause) ? 'MOUNT_REFUSED' : 'MOUNT_FAILED';
  return new SnapError(code, `${type} on ${device} cannot be mounted: ${reason}`, {
    hint: 'see dmesg for the details',
    cause,
  });
}

/** What mount(8) says where the kernel answers ENODEV: it has no such filesystem, and no module has brought one. */
const NO_DRIVER = /unknown filesystem type/i;

/** mount(8): "mount failure", as opposed to wrong usage, missing permissions and errors of the system. */
const REFUSED = 32;
/** What mount calls a failure as well, and which has nothing to do with what is on the device. */
const NOT_THE_FILESYSTEM = /mount point|busy|permission denied|superuser|cannot allocate memory|too many/i;
/** ntfs-3g: the volume is in use, no privilege, no memory, no FUSE. Source: `NTFS_VOLUME_...` in its volume.h. */
const NTFS_NOT_TRIED = new Set([16, 19, 20, 21]);

/** Whether the driver has looked at the filesystem and does not take it, or there is no driver on this machine. */
function isRefusal(error: ToolError): boolean {
  const { tool, exitCode } = error;
  if (exitCode === null || NOT_THE_FILESYSTEM.test(reasonOf(error))) return false;
  if (tool === 'mount') return exitCode === REFUSED;
  return tool !== 'ntfs-3g' || !NTFS_NOT_TRIED.has(exitCode);
}

/** mount's first line says why, those after it are advice. */
const reasonOf = (error: ToolError): string =>
  error.stderr
    .trim()
    .split('\n')[0]
    ?.replace(/^mount: [^:]*: /, '')
    .replace(/\.$/, '') || error.message;

const UNMOUNT_WITHIN = minutes(2);

export async function unmount(device: string, directory: string): Promise<void> {
  await endMount(device, directory);
  rmdirSync(directory);
}

/** Something may look at a fresh mount for a moment; who does so for minutes is named. */
export async function endMount(device: string, directory: string): Promise<void> {
  const signal = cleanupSignal(UNMOUNT_WITHIN + minutes(1));
  let reason = '';
  const look = async () => {
    try {
      await runTool(['umount', '--', directory], { signal });
      return { verdict: 'done' as const, value: null, seen: '' };
    } catch (error) {
      reason = asError(error).message;
      return { verdict: 'again' as const, value: null, seen: 'busy' };
    }
  };
  try {
    await waitFor(look, { what: `${directory} to unmount`, within: UNMOUNT_WITHIN, signal });
  } catch (cause) {
    const users = usersOf(directory);
    const who = users.length === 0 ? new Error(reason) : new Error(`in use by ${users.join(', ')}`, { cause });
    throw cleanupError(`the mount of ${device} at ${directory}`, `end what uses it, then: umount ${directory}`, who);
  }
}

/** Processes whose working directory, root or open files lie below a directory, as `name (pid)`. */
function usersOf(directory: string): string[] {
  const isInside = (link: string): boolean => {
    try {
      const target = readlinkSync(link);
      return target === directory || target.startsWith(`${directory}/`);
    } catch {
      return false;
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => [join('/proc', pid, 'cwd'), join('/proc', pid, 'root'), ...openFiles(pid)].some(isInside))
    .map((pid) => `process ${pid}`);
}

function openFiles(pid: string): string[] {
  const directory = join('/proc', pid, 'fd');
  try {
    return existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
  } catch {
    return [];
  }
}
