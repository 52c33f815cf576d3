/** Whether the kernel of this machine fills a filesystem of the features that one had: some it only reads, or not even that. */
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

/** What only the kernel mounts, so that its features depend on how the kernel was built. */
const BY_KERNEL = /^(ext[234]|xfs|btrfs)$/;

/** Every one of them is made in this size, however large it was. */
const BYTES = 512 * MiB;

/** Of what a filesystem was made with, that which a driver may not know, and which does not depend on its size. */
const OF_DRIVER = ['revision', 'clusterBytes', 'version', 'sectorBytes', 'directoryBytes', 'nodeBytes', 'checksum'];

/** Features that every driver of ext4 has, and those that say nothing to anybody who looks for one that it lacks. */
const COMMON =
  /^(has_journal|ext_attr|resize_inode|dir_index|filetype|sparse_super|large_file|extent|flex_bg|huge_file|dir_nlink|extra_isize|64bit|metadata_csum|(?!crc=).*=0|crc=1)$/;

/**
 * Makes a small one and mounts it read-write, for a moment and where no other process sees it. Where that cannot be tried,
 * nothing is said.
 * @throws SnapError `TARGET`
 */
export async function tryFilling(
  wanted: WantedFilesystem,
  make: (file: string, wanted: WantedFilesystem) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (!BY_KERNEL.test(wanted.type) || process.geteuid?.() !== 0) return;
  await using directory = temporaryDirectory();
  const [file, mountPoint] = [join(directory.path, 'small'), join(directory.path, 'mnt')];
  mkdirSync(mountPoint);
  try {
    if (!makeSparse(file, BYTES)) return;
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

/** The kernel unmounts what is mounted in a namespace when its last process ends, which is `mount`, however it ends. */
const IN_OWN_NAMESPACE = ['unshare', '--mount', '--'];

const FLAGS = 'loop,rw,nodev,nosuid,noexec';

/** mount(8) of EINVAL, as opposed to a machine without loop devices. */
const IS_REFUSED = /wrong fs type, bad option, bad superblock/;

function small({ type, geometry }: WantedFilesystem): WantedFilesystem {
  const made = Object.entries(geometry?.made ?? {}).filter(([name]) => OF_DRIVER.includes(name));
  const kept = geometry && { ...geometry, inodes: null, made: Object.fromEntries(made) };
  return { type, uuid: null, label: null, geometry: kept };
}

function refused({ type, geometry }: WantedFilesystem, cause: ToolError): SnapError {
  const features = (geometry?.features ?? []).filter((name) => !COMMON.test(name));
  const which = features.length === 0 ? '' : ` (${features.join(', ')})`;
  const message = `the kernel of this machine (${release()}) does not mount ${type} with its features${which} read-write`;
  return new SnapError('TARGET', message, {
    hint: 'another kernel may; --to-dir restores the files to any filesystem',
    cause,
  });
}
