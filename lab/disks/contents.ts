/** The contents of partitions: filesystems from the standard tools, and signatures of other content. */
import { open } from 'node:fs/promises';
import { run } from '../core/run.ts';

export type Content =
  | 'ext2'
  | 'ext3'
  | 'ext4'
  | 'xfs'
  | 'btrfs'
  | 'vfat'
  | 'ntfs'
  | 'swap'
  | 'luks'
  | 'lvm'
  | 'bios-boot'
  | 'random'
  | 'empty';

export interface Names {
  label?: string;
  uuid?: string;
  /** Options of the program that creates an ext filesystem. */
  options?: string[];
}

export async function makeContent(device: string, content: Content, names: Names): Promise<void> {
  await MAKERS[content](device, names);
}

type Maker = (device: string, names: Names) => Promise<unknown>;

const option = (flag: string, value: string | undefined): string[] => (value === undefined ? [] : [flag, value]);

const extMaker =
  (type: string): Maker =>
  (device, { label, uuid, options = [] }) =>
    run([`mkfs.${type}`, '-q', '-F', ...options, ...option('-L', label), ...option('-U', uuid), device]);

const MAKERS: Record<Content, Maker> = {
  ext2: extMaker('ext2'),
  ext3: extMaker('ext3'),
  ext4: extMaker('ext4'),
  xfs: (device, { label, uuid }) =>
    run(['mkfs.xfs', '-q', '-f', ...option('-L', label), ...(uuid ? ['-m', `uuid=${uuid}`] : []), device]),
  btrfs: (device, { label, uuid }) =>
    run(['mkfs.btrfs', '-q', '-f', ...option('-L', label), ...option('-U', uuid), device]),
  vfat: (device, { label, uuid }) => run(['mkfs.vfat', ...option('-n', label), ...option('-i', uuid), device]),
  ntfs: (device, { label }) => run(['mkntfs', '--quick', '--quiet', '--force', ...option('--label', label), device]),
  swap: (device, { label, uuid }) => run(['mkswap', ...option('-L', label), ...option('-U', uuid), device]),
  luks: (device) => writeAt(device, 0, luksHeader()),
  lvm: (device) => writeAt(device, 512, lvmLabel()),
  'bios-boot': (device) => writeAt(device, 0, Buffer.from('GRUB core image of the lab '.repeat(2000))),
  random: (device) => run(['dd', 'if=/dev/urandom', `of=${device}`, 'bs=1M', 'count=2', 'status=none']),
  empty: async () => {},
};

async function writeAt(device: string, position: number, bytes: Buffer): Promise<void> {
  await using file = await open(device, 'r+');
  await file.write(bytes, 0, bytes.length, position);
  await file.sync();
}

/** The part of a LUKS1 header by which tools recognize it. Source: LUKS on-disk format 1.2.3, §2.1. */
function luksHeader(): Buffer {
  const header = Buffer.alloc(592);
  header.write('LUKS\xba\xbe', 0, 'latin1');
  header.writeUInt16BE(1, 6);
  header.write('aes', 8);
  header.write('xts-plain64', 40);
  header.write('sha256', 72);
  header.write('0b5fd2a6-6f39-4b8e-9f6a-4d0f7f3f3a11', 168);
  return header;
}

/** The label of an LVM physical volume. Its checksum covers the bytes after it. Source: lvm2, label.h. */
function lvmLabel(): Buffer {
  const label = Buffer.alloc(512);
  label.write('LABELONE', 0);
  label.writeBigUInt64LE(1n, 8);
  label.writeUInt32LE(32, 20);
  label.write('LVM2 001', 24);
  label.write('labPVlabPVlabPVlabPVlabPVlabPVla', 32);
  label.writeUInt32LE(lvmChecksum(label.subarray(20)), 16);
  return label;
}

/** CRC-32 with LVM's own start value and without the final inversion. */
function lvmChecksum(bytes: Buffer): number {
  let crc = 0xf597a6cf;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return crc >>> 0;
}
