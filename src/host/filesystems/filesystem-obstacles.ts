/**
 * Why a filesystem cannot be archived as files without losing something that its driver does not show. It is read off
 * the device before anything is mounted: a driver is no witness of what it hides. docs/filesystems.md has the whole list.
 */
import { open } from 'node:fs/promises';
import { surveyFat } from './fat/survey.ts';
import { surveyNtfs } from './ntfs/survey.ts';
import type { FilesystemSurvey } from './survey.ts';

/** Filesystems whose drivers show all that is in them, but for what is looked for here, or counted. */
const KNOWN = new Set([
  ...['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'vfat', 'ntfs'],
  ...['exfat', 'jfs', 'reiserfs', 'squashfs', 'erofs'],
]);

/** Reads the tables of FAT and NTFS once, from the device. */
export async function surveyFilesystem(type: string, device: string, signal: AbortSignal): Promise<FilesystemSurvey> {
  if (type === 'ntfs') return surveyNtfs(device, signal);
  if (type === 'vfat') return surveyFat(device, signal);
  return { obstacle: await obstacleOn(type, device), names: null };
}

async function obstacleOn(type: string, device: string): Promise<string | null> {
  if (!KNOWN.has(type)) return `it is not known what drivers of ${type} leave out`;
  if (/^ext[234]$/.test(type)) return obstacleInExt(await readSuperblock(device, 1024));
  if (type === 'btrfs') return obstacleInBtrfs(await readSuperblock(device, 65_536));
  return null;
}

/**
 * @param members of a tar: all names, and the root.
 * @returns what is wrong where a driver has not shown as many names as there are.
 */
export const lackOfNames = (names: number | null, members: number): string | null =>
  names === null || members === names + 1
    ? null
    : `it has ${names} names of files and directories, of which its driver shows ${members - 1}`;

async function readSuperblock(device: string, position: number): Promise<Buffer> {
  await using file = await open(device, 'r');
  const superblock = Buffer.alloc(1024);
  await file.read(superblock, 0, superblock.length, position);
  return superblock;
}

/** Source: struct ext4_super_block in the kernel's fs/ext4/ext4.h. */
const EXT = {
  ...{ state: 58, hasErrors: 2 },
  ...{ compatible: 92, hasJournal: 4, journalInode: 224 },
  ...{ incompatible: 96, encrypt: 0x10000 },
} as const;

/** Of a directory that is damaged, the driver skips what it cannot read. */
function obstacleInExt(superblock: Buffer): string | null {
  if (superblock.readUInt16LE(EXT.state) & EXT.hasErrors) return 'it is marked as damaged: e2fsck has not repaired it';
  if (superblock.readUInt32LE(EXT.incompatible) & EXT.encrypt)
    return 'it may hold encrypted directories (feature encrypt), whose files cannot be read without their keys';
  if (superblock.readUInt32LE(EXT.compatible) & EXT.hasJournal && superblock.readUInt32LE(EXT.journalInode) === 0)
    return 'its journal is on another device';
  return null;
}

/** Source: `num_devices` of struct btrfs_super_block in the kernel's include/uapi/linux/btrfs_tree.h. */
const BTRFS_DEVICES = 136;

/**
 * Whatever else is attached to this machine, and was scanned, would be read too: of another time than the snapshot, or of
 * the machine's own filesystem. A journal would be replayed to all of them.
 */
function obstacleInBtrfs(superblock: Buffer): string | null {
  const devices = superblock.readBigUInt64LE(BTRFS_DEVICES);
  return devices === 1n ? null : `it spreads over ${devices} devices, and a snapshot has one of them`;
}
