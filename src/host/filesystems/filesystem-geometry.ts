/**
 * Reads from its superblock how a filesystem was created. Tools print only the features that their version knows, so a
 * filesystem recreated from their output could get the defaults of a newer version.
 */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fatGeometry, ntfsGeometry } from './superblocks/boot-sectors.ts';
import { btrfsGeometry, btrfsUuid } from './superblocks/btrfs.ts';
import { extGeometry } from './superblocks/ext.ts';
import type { Geometry } from './superblocks/geometry.ts';
import { swapGeometry } from './superblocks/swap.ts';
import { xfsGeometry } from './superblocks/xfs.ts';

/** Bytes at the start of a device that contain all superblocks. */
const SUPERBLOCK_AREA_BYTES = 128 * 1024;

const READERS: Record<string, (device: Buffer) => Geometry | null> = {
  ext2: extGeometry,
  ext3: extGeometry,
  ext4: extGeometry,
  xfs: xfsGeometry,
  btrfs: btrfsGeometry,
  vfat: fatGeometry,
  ntfs: ntfsGeometry,
  swap: swapGeometry,
};

/**
 * @param type the type that blkid reports.
 * @param device its filesystem must be mounted for the profiles of btrfs.
 * @returns `null` if the superblock is not understood. An archive can do without it.
 */
export function readGeometry(type: string, device: string): Geometry | null {
  const read = Object.hasOwn(READERS, type) ? READERS[type] : undefined;
  if (!read) return null;
  const start = firstBytes(device);
  const geometry = start && read(start);
  if (!geometry) return null;
  const profiles = type === 'btrfs' ? profilesOf(btrfsUuid(start)) : {};
  return plausible({ ...geometry, made: { ...geometry.made, ...profiles } });
}

/** Drops values that a manifest cannot hold. Fields that no driver uses may be damaged. */
function plausible({ blockBytes, inodeBytes, inodes, features, made = {} }: Geometry): Geometry {
  const [block, inode, count] = [blockBytes, inodeBytes, inodes].map((value) => (isCount(value) ? value : null));
  const facts = Object.entries(made).filter(([, value]) => typeof value === 'string' || isCount(value));
  return {
    blockBytes: block ?? null,
    inodeBytes: inode ?? null,
    inodes: count ?? null,
    features,
    made: Object.fromEntries(facts),
  };
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** @returns `null` if they cannot be read. */
export function firstBytes(device: string): Buffer | null {
  const descriptor = openSync(device, 'r');
  try {
    const bytes = Buffer.alloc(SUPERBLOCK_AREA_BYTES);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, SUPERBLOCK_AREA_BYTES, 0));
  } catch {
    // Code that needs the data will report the read error.
    return null;
  } finally {
    closeSync(descriptor);
  }
}

const PROFILE = /^(single|dup|raid\w+)$/;

/** Some kernels do not have the profiles in sysfs. */
function profilesOf(uuid: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const kind of ['data', 'metadata', 'mixed']) {
    try {
      const profile = readdirSync(join('/sys/fs/btrfs', uuid, 'allocation', kind)).find((name) => PROFILE.test(name));
      if (profile !== undefined) found[`${kind}Profile`] = profile;
    } catch {
      // A filesystem has either mixed block groups or separate ones.
    }
  }
  return found;
}
