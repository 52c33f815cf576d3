/**
 * Finds reasons why a filesystem cannot be archived as files without losing content. The device is read before anything
 * is mounted, because a driver does not show what it omits. docs/filesystems.md has the complete list.
 */
import { open } from 'node:fs/promises';
import { count } from '../../lib/units.ts';
import { surveyFat } from './fat/survey.ts';
import { firstBytes } from './filesystem-geometry.ts';
import { surveyNtfs } from './ntfs/survey.ts';
import { dataBehind } from './outside-filesystem.ts';
import { erofsDevices, hasReiserfsJournalElsewhere } from './superblocks/ends.ts';
import type { FilesystemSurvey } from './survey.ts';

/**
 * Filesystems whose drivers show all content, except for what is checked or counted here. That of exFAT drops characters
 * from names that are not valid Unicode, so that one file can take the place of another. That of jfs shows letters beyond
 * Latin-1 as question marks.
 */
const SURVEYED_TYPES = new Set([
  ...['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'vfat', 'ntfs'],
  ...['reiserfs', 'squashfs', 'erofs'],
]);

/** Surveys a filesystem. The tables of FAT and NTFS are read from the device once. */
export async function surveyFilesystem(type: string, device: string, signal: AbortSignal): Promise<FilesystemSurvey> {
  if (type === 'ntfs') return surveyNtfs(device, signal);
  if (type === 'vfat') return surveyFat(device, signal);
  return { obstacle: await obstacleOn(type, device, signal), names: null };
}

async function obstacleOn(type: string, device: string, signal: AbortSignal): Promise<string | null> {
  if (!SURVEYED_TYPES.has(type)) return `it is unknown what drivers of ${type} omit`;
  if (/^ext[234]$/.test(type)) return obstacleInExt(await readSuperblock(device, 1024));
  if (type === 'btrfs') return obstacleInBtrfs(await readSuperblock(device, 65_536));
  if (type === 'reiserfs' && hasReiserfsJournalElsewhere(firstBytes(device) ?? Buffer.alloc(0)))
    return JOURNAL_ELSEWHERE;
  if (type === 'squashfs' || type === 'erofs') return obstacleBehind(type, device, signal);
  return null;
}

/**
 * Systems that start from a read-only filesystem keep their changes in another filesystem, which often follows in the
 * same partition and has no name anywhere (OpenWrt).
 */
async function obstacleBehind(type: 'squashfs' | 'erofs', device: string, signal: AbortSignal): Promise<string | null> {
  const further = type === 'erofs' ? erofsDevices(firstBytes(device) ?? Buffer.alloc(0)) : 0;
  if (further > 0) return `it spans ${further + 1} devices`;
  const behind = await dataBehind(type, device, signal);
  return behind && `it is read-only, and there is ${behind}`;
}

/**
 * @param members number of members of a tar, including the root.
 * @returns a message if a driver has not shown all names.
 */
export const missingNames = (names: number | null, members: number): string | null =>
  names === null || members === names + 1
    ? null
    : `it has ${count(names, 'name')} of files and directories, but its driver shows ${members - 1}`;

async function readSuperblock(device: string, position: number): Promise<Buffer> {
  await using file = await open(device, 'r');
  const superblock = Buffer.alloc(1024);
  await file.read(superblock, 0, superblock.length, position);
  return superblock;
}

const JOURNAL_ELSEWHERE = 'its journal is on another device';

/** Source: struct ext4_super_block in fs/ext4/ext4.h of the kernel. */
const EXT = {
  ...{ state: 58, hasErrors: 2 },
  ...{ compatible: 92, hasJournal: 4, journalInode: 224 },
  ...{ incompatible: 96, encrypt: 0x10000 },
} as const;

/** In a damaged directory, the driver skips what it cannot read. */
function obstacleInExt(superblock: Buffer): string | null {
  if (superblock.readUInt16LE(EXT.state) & EXT.hasErrors) return 'it is marked as damaged: e2fsck has not repaired it';
  if (superblock.readUInt32LE(EXT.incompatible) & EXT.encrypt)
    return 'it may hold encrypted directories (feature encrypt), whose files cannot be read without their keys';
  if (superblock.readUInt32LE(EXT.compatible) & EXT.hasJournal && superblock.readUInt32LE(EXT.journalInode) === 0)
    return JOURNAL_ELSEWHERE;
  return null;
}

/** Source: `num_devices` of struct btrfs_super_block in include/uapi/linux/btrfs_tree.h of the kernel. */
const BTRFS_DEVICES = 136;

/**
 * The kernel would combine the snapshot with any attached device of the same filesystem, which may be of another time
 * or even in use by this machine. A journal would be replayed to all of them.
 */
function obstacleInBtrfs(superblock: Buffer): string | null {
  const devices = superblock.readBigUInt64LE(BTRFS_DEVICES);
  return devices === 1n ? null : `it spans ${devices} devices, and a snapshot holds only one of them`;
}
