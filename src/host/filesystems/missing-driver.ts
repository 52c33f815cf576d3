/** Where drivers come from that a machine may lack. */

const DRIVERS: Record<string, string> = {
  ntfs: 'install ntfs-3g (apt-get install ntfs-3g; for dnf it is in EPEL)',
  vfat: 'load the kernel module vfat, or install grub-mount (apt-get install grub-common)',
};

/** @returns what to do, as an imperative clause. */
export const howToGetDriver = (type: string): string =>
  DRIVERS[type] ??
  `load the kernel module ${type}, which may be in a package of its own (linux-modules-extra, kernel-modules-extra)`;
