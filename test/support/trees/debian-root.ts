/**
 * Creates root disks of Debian that boot from their own boot loader, with BIOS or UEFI. They contain the files of
 * Debian's packages, an initial RAM disk that Debian's tools make, and GRUB. Packages are unpacked but not configured,
 * so only the tools that make the RAM disk run on this machine. init is a script that prints what booted, and powers
 * off.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../lab/core/run.ts';
import { buildDisk, type PartitionPlan } from '../../../lab/disks/build.ts';
import { partitionPlace } from '../../../lab/disks/inspect.ts';

const PACKAGES = [
  ...['base-files', 'bash', 'busybox-static', 'coreutils', 'dash', 'findutils', 'grep', 'gzip', 'libc-bin'],
  ...['linux-image-cloud-amd64', 'mount', 'sed', 'util-linux'],
];

/** The UUID of the root filesystem on every disk. */
const ROOT_UUID = 'd00df00d-1234-4321-8765-0123456789ab';

/** The UUID of the EFI system partition. */
const ESP_UUID = 'E5B0-0735';

const GRUB = '/usr/lib/grub/i386-pc';

/** Debian's GRUB for UEFI in one file. It searches for its configuration in `EFI/debian`. */
const GRUB_EFI = '/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi';

/**
 * The output of init: the root filesystem and, with UEFI, the files that the kernel sees in the system partition. FAT
 * ignores the case of names.
 */
export const BOOTED = {
  bios: new RegExp(`^BOOTED by BIOS from ${ROOT_UUID},`),
  uefi: new RegExp(`^BOOTED by UEFI with EFI/BOOT/BOOTX64\\.EFI EFI/debian/grub\\.cfg from ${ROOT_UUID},`, 'i'),
};

const INIT = `#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
way=BIOS
if [ -d /sys/firmware/efi ]; then
  mount --types vfat --options ro UUID=${ESP_UUID} /boot/efi
  way="UEFI with $(cd /boot/efi && echo EFI/*/*)"
fi
echo "BOOTED by $way from $(findmnt --noheadings --output UUID /), Debian $(cat /etc/debian_version)" > /dev/console
echo o > /proc/sysrq-trigger
sleep 60
`;

const grubConfig = (version: string): string => `serial --unit=0
terminal_output serial
search --no-floppy --fs-uuid --set=root ${ROOT_UUID}
linux /boot/vmlinuz-${version} root=UUID=${ROOT_UUID} ro console=ttyS0 panic=5
initrd /boot/initrd.img-${version}
boot
`;

const EFI_CONFIG = `search --no-floppy --fs-uuid --set=root ${ROOT_UUID}
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
`;

/** @param root a directory that does not exist yet. */
export async function makeDebianRoot(root: string): Promise<void> {
  const packages = `${root}.packages`;
  await download(packages);
  mkdirSync(root);
  for (const name of readdirSync(packages).filter((entry) => entry.endsWith('.deb'))) {
    await run(['dpkg-deb', '--extract', join(packages, name), root]);
  }
  rmSync(packages, { recursive: true });
  for (const name of ['doc', 'locale', 'man']) rmSync(join(root, 'usr/share', name), { recursive: true, force: true });
  const version = readdirSync(join(root, 'boot'))
    .find((name) => name.startsWith('vmlinuz-'))
    ?.slice('vmlinuz-'.length);
  if (version === undefined) throw new Error(`no kernel was unpacked to ${root}`);
  await makeRamDisk(root, version);
  writeFileSync(join(root, 'sbin/init'), INIT, { mode: 0o755 });
  cpSync(GRUB, join(root, 'boot/grub/i386-pc'), { recursive: true });
  writeFileSync(join(root, 'boot/grub/grub.cfg'), grubConfig(version));
  mkdirSync(join(root, 'boot/efi'));
}

/** Downloads packages with all of their dependencies from the package sources of this machine. */
async function download(directory: string): Promise<void> {
  mkdirSync(join(directory, 'partial'), { recursive: true });
  const status = join(directory, 'status');
  writeFileSync(status, '');
  const places = { 'Dir::State::status': status, 'Dir::Cache::archives': directory, 'APT::Sandbox::User': 'root' };
  const options = Object.entries(places).flatMap(([name, value]) => ['--option', `${name}=${value}`]);
  const argv = ['apt-get', '--yes', '--quiet', ...options, '--no-install-recommends', '--download-only', 'install'];
  await run([...argv, ...PACKAGES]).catch(async () => {
    await run(['apt-get', 'update', '--quiet']);
    return run([...argv, ...PACKAGES]);
  });
}

const MODULES = ['virtio_pci', 'virtio_blk', 'ext4'];

async function makeRamDisk(root: string, version: string): Promise<void> {
  const settings = join(root, 'etc/initramfs-tools');
  const text = readFileSync(join(settings, 'initramfs.conf'), 'utf8');
  writeFileSync(join(settings, 'initramfs.conf'), text.replace(/^MODULES=.*/m, 'MODULES=list'));
  writeFileSync(join(settings, 'modules'), `${MODULES.join('\n')}\n`);
  await run(['mknod', join(root, 'dev/null'), 'c', '1', '3']);
  const inside = ['chroot', root, '/usr/bin/env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'];
  await run([...inside, 'ldconfig']);
  await run([...inside, 'depmod', version]);
  await run([...inside, 'mkinitramfs', '-c', 'gzip', '-o', `/boot/initrd.img-${version}`, version]);
}

/** @param table with `gpt`, GRUB's second stage has its own partition; with `dos`, it is before the first partition. */
export async function makeBiosDisk(image: string, table: 'gpt' | 'dos', root: string): Promise<void> {
  const files = rootFilesystem(root);
  const stage = { content: 'bios-boot' as const, sizeMiB: 1 };
  const [first, second] = [await bootSector(table), await secondStage(image, table)];
  await buildDisk({ path: image, table, bootCode: first, partitions: table === 'gpt' ? [stage, files] : [files] });
  if (table === 'gpt' && (await partitionPlace(image, 1)).start !== STAGE.gpt * SECTOR)
    throw new Error('the partition of the boot loader lies elsewhere');
  await using file = await open(image, 'r+');
  await file.write(second, 0, second.length, STAGE[table] * SECTOR);
}

/** The disk needs no boot entry in the firmware, which boots the default file of any disk. */
export async function makeUefiDisk(image: string, root: string): Promise<void> {
  const populate = async (directory: string) => {
    for (const name of ['BOOT', 'debian']) mkdirSync(join(directory, 'EFI', name), { recursive: true });
    cpSync(GRUB_EFI, join(directory, 'EFI/BOOT/BOOTX64.EFI'));
    writeFileSync(join(directory, 'EFI/debian/grub.cfg'), EFI_CONFIG);
  };
  const system = { content: 'vfat' as const, sizeMiB: 40, label: 'ESP', uuid: ESP_UUID.replace('-', ''), populate };
  await buildDisk({ path: image, table: 'gpt', partitions: [system, rootFilesystem(root)] });
}

const rootFilesystem = (root: string): PartitionPlan => ({
  content: 'ext4',
  sizeMiB: 400,
  uuid: ROOT_UUID,
  populate: async (directory) => {
    await run(['cp', '--archive', `${root}/.`, directory]);
  },
});

const SECTOR = 512;

/** The start of the second stage, in sectors. */
const STAGE = { gpt: 2048, dos: 1 };

/** `grub-bios-setup` writes the same, but not to image files. Source: GRUB 2.06, include/grub/i386/pc/boot.h. */
async function bootSector(table: 'gpt' | 'dos'): Promise<Buffer> {
  const sector = readFileSync(join(GRUB, 'boot.img')).subarray(0, 440);
  sector.writeBigUInt64LE(BigInt(STAGE[table]), 0x5c);
  return sector;
}

/** The first sector loads the others, and contains their start and number. More modules are on the root filesystem. */
async function secondStage(image: string, table: 'gpt' | 'dos'): Promise<Buffer> {
  const file = `${image}.core`;
  const prefix = table === 'gpt' ? '(,gpt2)/boot/grub' : '(,msdos1)/boot/grub';
  const modules = ['biosdisk', 'part_gpt', 'part_msdos', 'ext2'];
  await run(['grub-mkimage', '--format=i386-pc', `--prefix=${prefix}`, `--output=${file}`, ...modules]);
  const core = readFileSync(file);
  rmSync(file);
  core.writeBigUInt64LE(BigInt(STAGE[table] + 1), 0x1f4);
  core.writeUInt16LE(Math.ceil(core.length / SECTOR) - 1, 0x1fc);
  return core;
}
