/** Checks whether the kernel of this machine can mount a filesystem with certain features read-write. */
import { mkdirSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { SnapError } from '../../errors.ts';
import { minutes } from '../../lib/clock.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { MiB } from '../../lib/units.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';
import { makeSparse } from '../sparse-file.ts';
import type { WantedFilesystem } from './filesystem-options.ts';

/** Only the kernel mounts these, so their features depend on how it was built. */
const BY_KERNEL = /^(ext[234]|xfs|btrfs)$/;

/** Size of the test filesystem, whatever the size of the original was. */
const TEST_BYTES = 512 * MiB;

/** Parameters that a driver may not support and that do not depend on the size. */
const DRIVER_PARAMETERS = [
  'revision',
  'clusterBytes',
  'version',
  'sectorBytes',
  'directoryBytes',
  'nodeBytes',
  'checksum',
];

/** Features that every ext4 driver supports, and entries that do not matter for the error message. */
const COMMON =
  /^(has_journal|ext_attr|resize_inode|dir_index|filetype|sparse_super|large_file|extent|flex_bg|huge_file|dir_nlink|extra_isize|64bit|metadata_csum|(?!crc=).*=0|crc=1)$/;

/**
 * Creates a small filesystem and mounts it read-write for a moment, invisible to other processes. If this is not
 * possible for another reason, the check is skipped.
 * @throws SnapError `TARGET`
 */
export async function tryFilling(
  wanted: WantedFilesystem,
  make: (file: string, wanted: WantedFilesystem) => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  if (!BY_KERNEL.test(wanted.type) || process.geteuid?.() !== 0) return;
  await using directory = temporaryDirectory();
  const [file, mountPoint] = [join(directory.path, 'small'), join(directory.path, 'mnt')];
  mkdirSync(mountPoint);
  try {
    if (!makeSparse(file, TEST_BYTES)) return;
    await make(file, small(wanted));
    await runTool([...IN_OWN_NAMESPACE, 'mount', '-i', '-t', wanted.type, '-o', FLAGS, '--', file, mountPoint], {
      signal,
      within: minutes(5),
    });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ToolError && error.tool === 'unshare' && IS_REFUSED.test(error.stderr))
      throw refused(wanted, error);
    if (!(error instanceof ToolError || error instanceof SnapError)) throw error;
  }
}

/** The kernel unmounts everything in a namespace when its last process ends. Here this is `mount` itself. */
const IN_OWN_NAMESPACE = ['unshare', '--mount', '--'];

const FLAGS = 'loop,rw,nodev,nosuid,noexec';

/** The message of mount(8) for EINVAL, as opposed to a machine without loop devices. */
const IS_REFUSED = /wrong fs type, bad option, bad superblock/;

function small({ type, geometry }: WantedFilesystem): WantedFilesystem {
  const made = Object.entries(geometry?.made ?? {}).filter(([name]) => DRIVER_PARAMETERS.includes(name));
  const kept = geometry && { ...geometry, inodes: null, made: Object.fromEntries(made) };
  return { type, uuid: null, label: null, geometry: kept };
}

function refused({ type, geometry }: WantedFilesystem, cause: ToolError): SnapError {
  const features = (geometry?.features ?? []).filter((name) => !COMMON.test(name));
  const which = features.length === 0 ? '' : ` (${features.join(', ')})`;
  const message = `the kernel of this machine (${release()}) cannot mount ${type} read-write with its features${which}`;
  return new SnapError('TARGET', message, {
    hint: 'use another kernel, or restore the files to any filesystem with --to-dir',
    cause,
  });
}
