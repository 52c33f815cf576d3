/** Parses the superblock of ext2, ext3 and ext4. Source: "Super Block" in the ext4 documentation of the kernel. */
import { formatUuid, type Geometry, namesOfBits } from './geometry.ts';

const POSITION = 1024;
const LENGTH = 1024;
const MAGIC = 0xef53;

/** Names of mke2fs by bit; `null` for bits without one. */
const COMPATIBLE: (string | null)[] = [
  ...['dir_prealloc', 'imagic_inodes', 'has_journal', 'ext_attr', 'resize_inode', 'dir_index'],
  ...[null, null, null, 'sparse_super2', 'fast_commit', 'stable_inodes', 'orphan_file'],
];
const READ_ONLY: (string | null)[] = [
  ...['sparse_super', 'large_file', null, 'huge_file', 'uninit_bg', 'dir_nlink', 'extra_isize', null],
  ...['quota', 'bigalloc', 'metadata_csum', 'replica', 'read-only', 'project', 'shared_blocks', 'verity'],
  ...['orphan_present'],
];
const INCOMPATIBLE: (string | null)[] = [
  ...['compression', 'filetype', 'needs_recovery', 'journal_dev', 'meta_bg', null, 'extent', '64bit', 'mmp', 'flex_bg'],
  ...['ea_inode', null, 'dirdata', 'metadata_csum_seed', 'large_dir', 'inline_data', 'encrypt', 'casefold'],
];

/** These describe the current state and not how the filesystem was created. */
const STATES = new Set(['needs_recovery', 'orphan_present', 'read-only']);

const HASHES = ['legacy', 'half_md4', 'tea', 'legacy', 'half_md4', 'tea'];

/** @param device first bytes of the device. @returns `null` if it is no ext filesystem */
export function extGeometry(device: Buffer): Geometry | null {
  const block = device.subarray(POSITION, POSITION + LENGTH);
  if (block.length < LENGTH || block.readUInt16LE(56) !== MAGIC) return null;
  const revision = block.readUInt32LE(76);
  const isOld = revision === 0;
  const blockBytes = 1024 << block.readUInt32LE(24);
  // The first revision does not use the feature fields.
  const features = isOld
    ? []
    : [
        ...namesOfBits(block.readUInt32LE(92), COMPATIBLE),
        ...namesOfBits(block.readUInt32LE(96), INCOMPATIBLE),
        ...namesOfBits(block.readUInt32LE(100), READ_ONLY),
      ].filter((name) => !STATES.has(name));
  const high = (at: number): number => (features.includes('64bit') ? block.readUInt32LE(at) * 2 ** 32 : 0);
  const made: Record<string, number | string> = {
    revision,
    blocks: block.readUInt32LE(4) + high(336),
    reservedBlocks: block.readUInt32LE(8) + high(340),
    blocksPerGroup: block.readUInt32LE(32),
    inodesPerGroup: block.readUInt32LE(40),
    maxMountCount: Math.max(0, block.readInt16LE(54)),
    errors: block.readUInt16LE(60),
    checkInterval: block.readUInt32LE(68),
    mountOptions: block.readUInt32LE(256),
  };
  for (const [name, value] of Object.entries(rarelySet(block, features))) if (value) made[name] = value;
  if (features.includes('bigalloc')) made['clusterBytes'] = 1024 << block.readUInt32LE(28);
  if (features.includes('flex_bg')) made['flexGroup'] = 2 ** block.readUInt8(372);
  if (features.includes('dir_index')) made['hash'] = HASHES[block.readUInt8(252)] ?? 'half_md4';
  if (block.subarray(236, 252).some((byte) => byte !== 0)) made['hashSeed'] = formatUuid(block.subarray(236, 252));
  const journalBytes = sizeOfJournal(block);
  if (features.includes('has_journal') && journalBytes !== null) made['journalBytes'] = journalBytes;
  return {
    blockBytes,
    inodeBytes: isOld ? 128 : block.readUInt16LE(88),
    inodes: block.readUInt32LE(0),
    features,
    made,
  };
}

/** Settings that most filesystems do not have. */
function rarelySet(block: Buffer, features: readonly string[]): Record<string, number | string> {
  const quotas = Object.entries(QUOTA_INODES).filter(([, at]) => block.readUInt32LE(at) !== 0);
  return {
    reservedUser: block.readUInt16LE(80),
    reservedGroup: block.readUInt16LE(82),
    strideBlocks: block.readUInt16LE(356),
    stripeBlocks: block.readUInt32LE(368),
    quotas: features.includes('quota') ? quotas.map(([name]) => name).join('-') : '',
  };
}

/** Positions of the inodes with quotas of each kind. */
const QUOTA_INODES = { usr: 576, grp: 580, prj: 620 } as const;

/** The superblock has a copy of the journal inode: 15 words for its blocks, then its size with the high word first. */
function sizeOfJournal(block: Buffer): number | null {
  const isCopied = block.readUInt8(253) === 1;
  const words = 268;
  const bytes = block.readUInt32LE(words + 15 * 4) * 2 ** 32 + block.readUInt32LE(words + 16 * 4);
  return isCopied && bytes > 0 && Number.isSafeInteger(bytes) ? bytes : null;
}
