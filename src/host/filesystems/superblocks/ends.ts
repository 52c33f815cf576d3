/**
 * Finds the ends of filesystems that are not recreated, so that nothing else about their superblocks is of interest.
 * Each function takes the first bytes of a device, and returns a number of bytes from its start; `null` if the superblock
 * is not understood.
 */

const [SQUASHFS_MAGIC, SQUASHFS_VERSION] = [0x73717368, 4];

/** Source: struct squashfs_super_block in fs/squashfs/squashfs_fs.h of the kernel. */
export function squashfsEnd(device: Buffer): number | null {
  const isKnown =
    device.length >= 48 && device.readUInt32LE(0) === SQUASHFS_MAGIC && device.readUInt16LE(28) === SQUASHFS_VERSION;
  return isKnown ? exact(device.readBigUInt64LE(40)) : null;
}

const EROFS = { at: 1024, magic: 0xe0f5e1e2, has48Bits: 0x80 } as const;

/** Source: struct erofs_super_block in fs/erofs/erofs_fs.h of the kernel. */
export function erofsEnd(device: Buffer): number | null {
  const block = device.subarray(EROFS.at, EROFS.at + 144);
  if (block.length < 144 || block.readUInt32LE(0) !== EROFS.magic) return null;
  const blockBits = block.readUInt8(12);
  const isLarge = (block.readUInt32LE(80) & EROFS.has48Bits) !== 0 && block.readBigUInt64LE(112) !== 0n;
  const blocks = block.readUInt32LE(36) + (isLarge ? block.readUInt16LE(14) * 2 ** 32 : 0);
  return blockBits < 9 || blockBits > 30 ? null : exact(BigInt(blocks) << BigInt(blockBits));
}

/** Number of further devices with content of erofs. */
export const erofsDevices = (device: Buffer): number =>
  device.length < EROFS.at + 144 ? 0 : device.readUInt16LE(EROFS.at + 86);

/** The position depends on the version. */
const REISERFS_AT = [65_536, 8192];
const REISERFS_MAGIC = /^ReIsEr[23]?Fs/;

const reiserfsAt = (device: Buffer): number | undefined =>
  REISERFS_AT.find((place) => REISERFS_MAGIC.test(device.toString('latin1', place + 52, place + 62)));

/** Whether a reiserfs says that its journal is on another device. */
export function hasReiserfsJournalElsewhere(device: Buffer): boolean {
  const at = reiserfsAt(device);
  return at !== undefined && device.readUInt32LE(at + 16) !== 0;
}

/** Source: struct reiserfs_super_block_v1 in fs/reiserfs/reiserfs.h of the kernel. */
export function reiserfsEnd(device: Buffer): number | null {
  const at = reiserfsAt(device);
  return at === undefined ? null : exact(BigInt(device.readUInt32LE(at)) * BigInt(device.readUInt16LE(at + 44)));
}

/** The length of a volume in sectors, and the exponent of their size. Source: "exFAT file system specification" 3.1. */
export function exfatEnd(device: Buffer): number | null {
  if (device.length < 512 || device.toString('latin1', 3, 11) !== 'EXFAT   ') return null;
  const bits = device.readUInt8(108);
  return bits < 9 || bits > 12 ? null : exact(device.readBigUInt64LE(72) << BigInt(bits));
}

const exact = (bytes: bigint): number | null => (bytes > 0n && bytes < 2n ** 53n ? Number(bytes) : null);
