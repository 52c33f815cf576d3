/** Finds data in a partition before and after its filesystem or swap area, which no driver shows. */
import { deviceOrImageSize } from '../devices/block-devices.ts';
import { describeData, findData } from '../devices/find-data.ts';
import { firstBytes, readGeometry } from './filesystem-geometry.ts';
import { type Probe, type Treatment, treatmentOf } from './filesystems.ts';
import type { NotKept } from './not-kept-note.ts';
import { erofsEnd, exfatEnd, reiserfsEnd, squashfsEnd } from './superblocks/ends.ts';
import type { Geometry } from './superblocks/geometry.ts';

/** Bytes at the start of a filesystem that are reserved for boot loaders. */
const BOOT_AREA: Record<string, number> = {
  ...{ ext2: 1024, ext3: 1024, ext4: 1024, btrfs: 65_536, swap: 1024 },
  ...{ erofs: 1024, reiserfs: 65_536, jfs: 32_768 },
};

/** Decides how to archive a device. A swap area is left out only if the device holds nothing else. */
export async function treatmentOn(device: string, found: Probe, signal: AbortSignal): Promise<Treatment> {
  const treatment = treatmentOf(found);
  if (treatment.how !== 'record') return treatment;
  const before = await bootCode('swap', device, 0, signal);
  const other = before ?? (await dataBehind('swap', device, signal));
  return other === null ? treatment : { how: 'raw', reason: `it holds more than swap: ${other}` };
}

/** @param keptBytes bytes at the start of the device that the manifest has. */
export async function notKeptAround(
  type: string,
  device: string,
  keptBytes: number,
  signal: AbortSignal,
): Promise<NotKept[]> {
  const before = await bootCode(type, device, keptBytes, signal);
  const behind = await lookBehind(type, device, signal);
  return [before, behind?.what ?? null].flatMap((what) => (what === null ? [] : [{ what, count: null }]));
}

/** Describes what follows the filesystem or swap area on its device; `null` if nothing was found. */
export async function dataBehind(type: string, device: string, signal: AbortSignal): Promise<string | null> {
  const behind = await lookBehind(type, device, signal);
  return behind?.isSuspect ? behind.what : null;
}

const nameOf = (type: string): string => (type === 'swap' ? 'swap area' : 'filesystem');

async function bootCode(type: string, device: string, from: number, signal: AbortSignal): Promise<string | null> {
  const { bytes } = await findData(device, [{ from, to: BOOT_AREA[type] ?? from }], signal);
  return bytes > 0 ? `boot code before the ${nameOf(type)}` : null;
}

interface Behind {
  what: string;
  /** Whether there is data, or it is unknown where the filesystem ends. */
  isSuspect: boolean;
}

async function lookBehind(type: string, device: string, signal: AbortSignal): Promise<Behind | null> {
  const where = `after the ${nameOf(type)}`;
  const end = endOf(type, device);
  if (end === null) return { what: `data ${where}, if there is any: where it ends is unknown`, isSuspect: true };
  const found = await findData(device, [{ from: end, to: deviceOrImageSize(device) }], signal);
  const what = describeData(found, where);
  return what === null ? null : { what, isSuspect: found.bytes > 0 };
}

const END_READERS: Record<string, (device: Buffer) => number | null> = {
  squashfs: squashfsEnd,
  erofs: erofsEnd,
  reiserfs: reiserfsEnd,
  exfat: exfatEnd,
};

/** Returns where the filesystem ends, in bytes from the start of the device; `null` if unknown. */
function endOf(type: string, device: string): number | null {
  const read = Object.hasOwn(END_READERS, type) ? END_READERS[type] : undefined;
  if (read) return read(firstBytes(device) ?? Buffer.alloc(0));
  const geometry = readGeometry(type, device);
  return geometry === null ? null : endOfRecreated(type, geometry);
}

function endOfRecreated(type: string, { blockBytes, made = {} }: Geometry): number | null {
  const product = (...factors: unknown[]): number | null =>
    factors.reduce<number | null>((all, one) => (all === null || typeof one !== 'number' ? null : all * one), 1);
  if (/^(ext[234]|xfs)$/.test(type)) return product(made['blocks'], blockBytes);
  if (type === 'swap') return product(made['pages'], blockBytes);
  if (type === 'btrfs') return product(made['bytes']);
  const sectors = made['sectors'];
  if (type === 'vfat') return product(sectors, made['sectorBytes']);
  // The last sector is a copy of the first one.
  return type === 'ntfs' && typeof sectors === 'number' ? product(sectors + 1, made['sectorBytes']) : null;
}
