/** What drivers of filesystems show that is not on the disk, anew with each mount: a comparison leaves it out. */
import type { TarComparisonOptions } from '../../../streams/tar/tar-with-disk.ts';

/** Drivers in user space, of files whose filesystem has no such thing. */
const UNSTEADY: Record<string, TarComparisonOptions['ignore']> = { vfat: ['mtime', 'mode', 'owner'] };

/**
 * Where a snapshot was taken of a subvolume that has others in it, btrfs shows an empty directory in the place of each.
 * Source: BTRFS_EMPTY_SUBVOL_DIR_OBJECTID in the kernel's include/uapi/linux/btrfs_tree.h.
 */
const EMPTY_DIRECTORY: Record<string, number> = { btrfs: 2 };

export const madeUpBy = (filesystem: string): Pick<TarComparisonOptions, 'ignore' | 'syntheticInode'> => ({
  ignore: UNSTEADY[filesystem] ?? [],
  syntheticInode: EMPTY_DIRECTORY[filesystem] ?? null,
});
