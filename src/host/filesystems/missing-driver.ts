/** Where to get filesystem drivers that a machine may lack. */

const DRIVERS: Record<string, string> = {
  ntfs: 'install ntfs-3g (apt-get install ntfs-3g; for dnf it is in EPEL)',
  vfat: 'load the kernel module vfat, or install grub-mount (apt-get install grub-common)',
};

/** @returns an instruction in the imperative. */
export const driverHint = (type: string): string =>
  DRIVERS[type] ??
  `load the kernel module ${type}, which may be in a separate package (linux-modules-extra, kernel-modules-extra)`;
