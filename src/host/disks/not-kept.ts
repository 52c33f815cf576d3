/**
 * Finds attributes of files that a tar cannot hold. They are not content: a filesystem with content that a tar cannot
 * hold becomes an image (`surveyFilesystem`). docs/filesystems.md has the complete list.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { SnapError } from '../../errors.ts';
import { startPipeline } from '../../transfer/pipeline.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';
import type { NotKept } from '../filesystems/not-kept-note.ts';
import { notKeptAround } from '../filesystems/outside-filesystem.ts';
import { BOOT_CODE_BYTES } from './partition-table.ts';

const WINDOWS = 'DOS attributes, short names and creation times';

/** Attributes that every filesystem of a type has. */
const ALWAYS: Record<string, string> = {
  ntfs: `Windows access control lists, object ids, ${WINDOWS}`,
  vfat: WINDOWS,
  exfat: 'DOS attributes and creation times',
};

const WITH_FLAGS = new Set(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'reiserfs', 'jfs']);

export interface MountedFilesystem {
  /** The type that blkid reports. */
  type: string;
  device: string;
  /** Its mount point. */
  root: string;
  /** `null` if it occupies the whole disk, whose first bytes are in the manifest. */
  partition: number | null;
}

export async function notKeptOf(filesystem: MountedFilesystem, signal: AbortSignal): Promise<NotKept[]> {
  const { type, device, partition } = filesystem;
  // Boot code from the manifest is written back only before ext filesystems.
  const keptBytes = partition === null && type.startsWith('ext') ? BOOT_CODE_BYTES : 0;
  const around = await notKeptAround(type, device, keptBytes, signal);
  return [...(await notKeptInside(filesystem, signal)), ...around];
}

async function notKeptInside({ type, device, root }: MountedFilesystem, signal: AbortSignal): Promise<NotKept[]> {
  const always = ALWAYS[type];
  if (always !== undefined) return [{ what: always, count: null }];
  if (!WITH_FLAGS.has(type)) return [];
  const hasQuotas =
    (type.startsWith('ext') && (await hasExtQuotas(device))) || (type === 'xfs' && (await hasXfsQuotas(device)));
  return [
    ...(await flagsIfCountable(root, signal)),
    ...(type === 'btrfs' ? await subvolumesOf(root, signal) : []),
    ...(hasQuotas ? [{ what: 'quota limits', count: null }] : []),
  ];
}

/** Letters of lsattr(1) for flags that users set. The other letters describe how the driver stores the file. */
const FLAG_GROUPS: readonly { letters: string; what: string }[] = [
  { letters: 'V', what: 'fs-verity seals' },
  { letters: 'F', what: 'case-insensitive directories (casefold)' },
  { letters: 'iadASDTjsutcCmxP', what: 'chattr flags' },
];

const PROJECT = 'project ids (directory quotas)';

/** ` 0 --------------e------- /mnt/x/etc`: project id, flags, path. */
const LSATTR_LINE = /^ *(\d+) ([-A-Za-z]+) (.*)$/;

async function flagsIfCountable(root: string, signal: AbortSignal): Promise<NotKept[]> {
  try {
    return await countFlags(root, signal);
  } catch (error) {
    if (!(error instanceof SnapError) || error.code !== 'TOOL_MISSING') throw error;
    return [{ what: 'chattr flags, which could not be counted: lsattr is not installed', count: null }];
  }
}

/** What lsattr reports for special files: EOPNOTSUPP or ENOTTY. */
const HAS_NO_FLAGS = /: (Operation not supported|Inappropriate ioctl for device) While reading (flags|project)/;

/**
 * Special files have no flags, and lsattr reports each of them as an error. It also lists `.` and `..` of directories.
 */
async function countFlags(root: string, signal: AbortSignal): Promise<NotKept[]> {
  let isAllCounted = true;
  const onStderrLine = (line: string) => {
    isAllCounted &&= HAS_NO_FLAGS.test(line);
  };
  const argv = ['lsattr', '-R', '-a', '-p', '--', root];
  // lsattr exits with 1 if it has reported an error for any file.
  const stage = { name: 'lsattr', argv, allowedExitCodes: [0, 1], onStderrLine };
  await using pipeline = await startPipeline([stage], { signal });
  const counts = new Map<string, number>();
  const add = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);
  for await (const line of createInterface({
    input: createReadStream('', { fd: pipeline.output, encoding: 'latin1' }),
  })) {
    const [, project = '', flags = '', path = ''] = LSATTR_LINE.exec(line) ?? [];
    if (flags === '' || /\/\.\.?$/.test(path)) continue;
    for (const { letters, what } of FLAG_GROUPS) if ([...flags].some((flag) => letters.includes(flag))) add(what);
    if (project !== '0') add(PROJECT);
  }
  await pipeline.finished.catch((error: unknown) => {
    signal.throwIfAborted();
    if (!(error instanceof SnapError) || error.code !== 'STAGE_FAILED') throw error;
    isAllCounted = false;
  });
  const doubt = { what: 'chattr flags of further files, which lsattr could not read', count: null };
  return [...[...counts].map(([what, count]) => ({ what, count })), ...(isAllCounted ? [] : [doubt])];
}

async function subvolumesOf(root: string, signal: AbortSignal): Promise<NotKept[]> {
  const what = 'subvolumes and snapshots, which become directories';
  try {
    const { stdout } = await runTool(['btrfs', 'subvolume', 'list', root], { signal });
    const count = stdout.split('\n').filter((line) => line !== '').length;
    return count > 0 ? [{ what, count }] : [];
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ToolError) && !(error instanceof SnapError && error.code === 'TOOL_MISSING')) throw error;
    return [{ what: `${what}, if there are any: btrfs could not list them`, count: null }];
  }
}

/** Source: s_feature_ro_compat and EXT4_FEATURE_RO_COMPAT_QUOTA in fs/ext4/ext4.h of the kernel. */
const hasExtQuotas = async (device: string): Promise<boolean> =>
  ((await readAt(device, 1024 + 100, 4)).readUInt32LE(0) & 0x100) !== 0;

/** Source: sb_qflags in fs/xfs/libxfs/xfs_format.h of the kernel. It counts users, groups or projects. */
const hasXfsQuotas = async (device: string): Promise<boolean> => (await readAt(device, 176, 2)).readUInt16BE(0) !== 0;

async function readAt(device: string, position: number, length: number): Promise<Buffer> {
  await using file = await open(device, 'r');
  return (await file.read(Buffer.alloc(length), 0, length, position)).buffer;
}
