/** What the builder of disks works with. */

/** Debian packages by the programs that are needed of them. */
export const DISK_TOOLS: Readonly<Record<string, string>> = {
  sfdisk: 'fdisk',
  losetup: 'mount',
  mount: 'mount',
  mkswap: 'util-linux',
  blkid: 'util-linux',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.xfs': 'xfsprogs',
  'mkfs.btrfs': 'btrfs-progs',
  'mkfs.vfat': 'dosfstools',
  mcopy: 'mtools',
  'ntfs-3g': 'ntfs-3g',
};
