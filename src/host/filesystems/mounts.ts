/**
 * Mounts the filesystems of a temporary volume for reading.
 *
 * Snapshots are taken of running machines, so the latest writes may be only in the journal. The device is writable and
 * the mount is read-only. The kernel then replays the journal and changes nothing else. With `noload` and similar
 * options, files that were synced before the snapshot would be missing.
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
import { driverHint } from './missing-driver.ts';

export interface Mount extends AsyncDisposable {
  path: string;
  /** The program that mounted the filesystem; `null` for the kernel. */
  helper: string | null;
}

export interface MountOptions {
  /** Whether to replay journals. */
  replay: boolean;
  signal: AbortSignal;
}

/** Mount options besides `ro,nodev,nosuid,noexec,noatime`, by filesystem. */
const EXTRA_OPTIONS: Record<string, { always?: string[]; withoutReplay?: string[] }> = {
  // A damaged filesystem may be configured to cause a kernel panic.
  ext2: { always: ['errors=remount-ro'] },
  ext3: { always: ['errors=remount-ro'], withoutReplay: ['noload'] },
  ext4: { always: ['errors=remount-ro'], withoutReplay: ['noload'] },
  // The original disk may be mounted on this machine, too, with the same UUID.
  xfs: { always: ['nouuid'], withoutReplay: ['norecovery'] },
  // Shows the whole filesystem, even if another subvolume is the default.
  btrfs: { always: ['subvolid=5'], withoutReplay: ['rescue=nologreplay'] },
  // Names are in UTF-16 on disk. Without this option, letters beyond Latin-1 become question marks, or files are
  // omitted. Times have no time zone. Without the option, they are shifted by that of this machine's clock.
  // Files are found by their short names, too. The code page is the one in which `fat/peculiarities.ts` compares them.
  vfat: { always: ['utf8', 'codepage=437', 'tz=UTC'] },
  ntfs: { always: ['iocharset=utf8'] },
  exfat: { always: ['iocharset=utf8'] },
  // Without these options, the driver shows neither attributes of users nor ACLs.
  reiserfs: { always: ['user_xattr', 'acl'] },
};

/**
 * Programs that mount in user space what the kernel does not support. The kernel is tried first. They show the same
 * files, except that grub-mount shows short names (`EFI`) in lower case. FAT itself is case-insensitive.
 */
const HELPERS: Record<string, (device: string, path: string) => string[]> = {
  ntfs: (device, path) => ['ntfs-3g', '-o', 'ro,noatime,streams_interface=none', device, path],
  vfat: (device, path) => ['grub-mount', device, path],
};

/** Returns what would mount a filesystem of this type: the kernel, a helper, or `null` if neither can. */
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
 * Mounts a filesystem read-only.
 * @param directory is created and removed again if necessary. It must not be a link.
 * @throws SnapError `MOUNT_REFUSED` with the reason of the kernel if it refuses the filesystem or has no driver for it.
 * The caller decides what to do with the partition. `MOUNT_FAILED` for all other failures.
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
    // A canceled mount may have succeeded nevertheless.
    if (isMounted(directory)) await unmount(device, directory);
    else rmdirSync(directory);
    throw error;
  }
  return { path: directory, helper, [Symbol.asyncDispose]: () => unmount(device, directory) };
}

/** Additional mount options for filesystems that are to be filled. */
const WRITABLE_OPTIONS: Record<string, string[]> = {
  xfs: ['nouuid'],
  btrfs: ['subvolid=5'],
  // Suppresses errors about owners and modes that FAT cannot store.
  vfat: ['quiet', 'utf8', 'tz=UTC'],
};

/**
 * Mounts a new filesystem for writing. Devices and set-ID files can be created there, but they have no effect.
 * @param directory as for `mountReadOnly`.
 * @throws SnapError `MOUNT_REFUSED` or `MOUNT_FAILED`.
 */
export async function mountWritable(
  device: string,
  type: string,
  directory: string,
  signal: AbortSignal,
): Promise<Mount> {
  makeMountPoint(directory);
  const flags = ['rw', 'nodev', 'nosuid', 'noexec', 'noatime', ...(WRITABLE_OPTIONS[type] ?? [])];
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

/** Returns all mounts of this machine in the order in which they were made. */
export const mountsHere = (): { source: string; directory: string }[] =>
  readFileSync('/proc/self/mounts', 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [source = '', directory = ''] = line.split(' ');
      return { source, directory: directory.replace(/\\([0-7]{3})/g, octal) };
    });

/** The kernel writes spaces in mount points as `\040`. */
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
  const { always = [], withoutReplay = [] } = EXTRA_OPTIONS[type] ?? {};
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
    const hint = driverHint(type);
    const message = `this machine has no driver for ${type} (${reason}); to archive its files, ${hint}`;
    return new SnapError('MOUNT_REFUSED', message, { hint, cause });
  }
  const code = isRefusal(cause) ? 'MOUNT_REFUSED' : 'MOUNT_FAILED';
  return new SnapError(code, `${type} on ${device} cannot be mounted: ${reason}`, {
    hint: 'see dmesg for details',
    cause,
  });
}

/** The message of mount(8) for ENODEV: neither the kernel nor a module supports the filesystem. */
const NO_DRIVER = /unknown filesystem type/i;

/** Exit code "mount failure" of mount(8), as opposed to wrong usage, missing permissions and system errors. */
const EXIT_MOUNT_FAILURE = 32;
/** Other causes that mount(8) also reports as a mount failure. They say nothing about the filesystem. */
const NOT_THE_FILESYSTEM = /mount point|busy|permission denied|superuser|cannot allocate memory|too many/i;
/**
 * Exit codes of ntfs-3g: volume in use, no privilege, no memory, no FUSE. Source: `NTFS_VOLUME_...` in its volume.h.
 */
const NTFS_NOT_TRIED = new Set([16, 19, 20, 21]);

/** Whether a driver has refused the filesystem, or there is no driver for it. */
function isRefusal(error: ToolError): boolean {
  const { tool, exitCode } = error;
  if (exitCode === null || NOT_THE_FILESYSTEM.test(reasonOf(error))) return false;
  if (tool === 'mount') return exitCode === EXIT_MOUNT_FAILURE;
  return tool !== 'ntfs-3g' || !NTFS_NOT_TRIED.has(exitCode);
}

/** The first line of mount has the reason. The following lines are advice. */
const reasonOf = (error: ToolError): string =>
  error.stderr
    .trim()
    .split('\n')[0]
    ?.replace(/^mount: [^:]*: /, '')
    .replace(/\.$/, '') || error.message;

const UNMOUNT_TIMEOUT = minutes(2);

export async function unmount(device: string, directory: string): Promise<void> {
  await endMount(device, directory);
  rmdirSync(directory);
}

/**
 * Retries for some minutes, because other programs may look at a new mount for a moment.
 * @throws SnapError `CLEANUP_FAILED` with the processes that use the mount.
 */
export async function endMount(device: string, directory: string): Promise<void> {
  const signal = cleanupSignal(UNMOUNT_TIMEOUT + minutes(1));
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
    await waitFor(look, { what: `${directory} to unmount`, within: UNMOUNT_TIMEOUT, signal });
  } catch (cause) {
    const users = usersOf(directory);
    const who = users.length === 0 ? new Error(reason) : new Error(`in use by ${users.join(', ')}`, { cause });
    throw cleanupError(
      `the mount of ${device} at ${directory}`,
      `stop the processes that use it, then: umount ${directory}`,
      who,
    );
  }
}

/** Returns the processes whose working directory, root or open files are below a directory. */
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
