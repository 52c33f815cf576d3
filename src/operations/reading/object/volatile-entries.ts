/** Attributes and entries that drivers make up at each mount, and that are therefore not compared. */
import type { TarComparisonOptions } from '../../../streams/tar/tar-with-disk.ts';

/** Attributes that the filesystem does not have, so that its driver makes them up. */
const UNSTEADY: Record<string, TarComparisonOptions['ignore']> = { vfat: ['mtime', 'mode', 'owner'] };

/**
 * Inode number of made-up directories. In a snapshot of a subvolume, btrfs shows an empty directory in the place of each
 * subvolume inside it.
 * Source: BTRFS_EMPTY_SUBVOL_DIR_OBJECTID in the kernel's include/uapi/linux/btrfs_tree.h.
 */
const EMPTY_DIRECTORY: Record<string, number> = { btrfs: 2 };

export const madeUpBy = (filesystem: string): Pick<TarComparisonOptions, 'ignore' | 'syntheticInode'> => ({
  ignore: UNSTEADY[filesystem] ?? [],
  syntheticInode: EMPTY_DIRECTORY[filesystem] ?? null,
});
