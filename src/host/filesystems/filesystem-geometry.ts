/**
 * How a filesystem was made, read off its superblock: tools print what their version knows, and what an old one does not
 * print would come back as a newer one's default.
 */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { fatGeometry, ntfsGeometry } from './superblocks/boot-sectors.ts';
import { btrfsGeometry, btrfsUuid } from './superblocks/btrfs.ts';
import { extGeometry } from './superblocks/ext.ts';
import type { Geometry } from './superblocks/geometry.ts';
import { xfsGeometry } from './superblocks/xfs.ts';

/** All superblocks that are read lie within. */
const BEGINNING = 128 * 1024;

const READERS: Record<string, (device: Buffer) => Geometry | null> = {
  ext2: extGeometry,
  ext3: extGeometry,
  ext4: extGeometry,
  xfs: xfsGeometry,
  btrfs: btrfsGeometry,
  vfat: fatGeometry,
  ntfs: ntfsGeometry,
};

/**
 * @param type as blkid calls it.
 * @param device of a filesystem that is mounted, where btrfs is to tell its profiles.
 * @returns `null` where the filesystem has nothing to tell that is understood: an archive is none the worse for it.
 */
export function readGeometry(type: string, device: string): Geometry | null {
  const read = Object.hasOwn(READERS, type) ? READERS[type] : undefined;
  if (!read) return null;
  const beginning = firstBytes(device);
  const geometry = beginning && read(beginning);
  if (!geometry) return null;
  const profiles = type === 'btrfs' ? profilesOf(btrfsUuid(beginning)) : {};
  return plausible({ ...geometry, made: { ...geometry.made, ...profiles } });
}

/** A superblock may be damaged where no driver looks: what a manifest cannot hold is left out. */
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

function firstBytes(device: string): Buffer | null {
  const descriptor = openSync(device, 'r');
  try {
    const bytes = Buffer.alloc(BEGINNING);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, BEGINNING, 0));
  } catch {
    // A read error there is found by whoever needs the data.
    return null;
  } finally {
    closeSync(descriptor);
  }
}

const PROFILE = /^(single|dup|raid\w+)$/;

/** A kernel without sysfs for it tells none. */
function profilesOf(uuid: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const kind of ['data', 'metadata', 'mixed']) {
    try {
      const profile = readdirSync(join('/sys/fs/btrfs', uuid, 'allocation', kind)).find((name) => PROFILE.test(name));
      if (profile !== undefined) found[`${kind}Profile`] = profile;
    } catch {
      // Not there: mixed groups or separate ones, never both.
    }
  }
  return found;
}
