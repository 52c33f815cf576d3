/**
 * Parses the superblock of btrfs. Source: "On-disk Format" of the btrfs documentation, and `struct btrfs_super_block`.
 */
import { formatUuid, type Geometry } from './geometry.ts';

const POSITION = 65_536;
const LENGTH = 4096;

/** Features that mkfs.btrfs can choose, by their bit in `incompat_flags` or `compat_ro_flags`. */
const INCOMPATIBLE: [number, string][] = [
  [2, 'mixed-bg'],
  [6, 'extref'],
  [8, 'skinny-metadata'],
  [9, 'no-holes'],
  [12, 'zoned'],
  [13, 'extent-tree-v2'],
  [14, 'raid-stripe-tree'],
  [16, 'squota'],
];
const READ_ONLY: [number, string][] = [
  [0, 'free-space-tree'],
  [3, 'block-group-tree'],
];

const CHECKSUMS = ['crc32c', 'xxhash', 'sha256', 'blake2'];

/** @param device first bytes of the device. @returns `null` if it is no btrfs filesystem */
export function btrfsGeometry(device: Buffer): Geometry | null {
  const block = device.subarray(POSITION, POSITION + LENGTH);
  if (block.length < LENGTH || block.toString('latin1', 64, 72) !== '_BHRfS_M') return null;
  const [incompatible, readOnly] = [block.readBigUInt64LE(188), block.readBigUInt64LE(180)];
  const flag =
    (mask: bigint) =>
    ([bit, name]: [number, string]) =>
      `${name}=${(mask >> BigInt(bit)) & 1n}`;
  const checksum = CHECKSUMS[block.readUInt16LE(196)];
  return {
    blockBytes: block.readUInt32LE(144),
    inodeBytes: null,
    inodes: null,
    features: [...INCOMPATIBLE.map(flag(incompatible)), ...READ_ONLY.map(flag(readOnly))],
    made: {
      bytes: Number(block.readBigUInt64LE(112)),
      nodeBytes: block.readUInt32LE(148),
      devices: Number(block.readBigUInt64LE(136)),
      ...(checksum === undefined ? {} : { checksum }),
    },
  };
}

/** The UUID under which sysfs lists a mounted filesystem. */
export const btrfsUuid = (device: Buffer): string => formatUuid(device.subarray(POSITION + 32, POSITION + 48));
