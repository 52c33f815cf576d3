/** What lies in a partition before and behind its filesystem, and no driver shows. */
import { formatBytes } from '../../lib/units.ts';
import { lengthOf } from '../devices/block-devices.ts';
import { dataIn } from '../devices/data-in.ts';
import { readGeometry } from './filesystem-geometry.ts';
import type { NotKept } from './not-kept-note.ts';
import type { Geometry } from './superblocks/geometry.ts';

/** What filesystems leave to boot loaders at their beginning, in bytes. */
const BOOT_AREA: Record<string, number> = { ext2: 1024, ext3: 1024, ext4: 1024, btrfs: 65_536 };

/**
 * @param keptBytes at the beginning of the device, that the manifest has.
 * @returns nothing of filesystems whose superblock is not read here.
 */
export async function notKeptAround(
  type: string,
  device: string,
  keptBytes: number,
  signal: AbortSignal,
): Promise<NotKept[]> {
  const bootArea = { from: keptBytes, to: BOOT_AREA[type] ?? keptBytes };
  const boot = await dataIn(device, [bootArea], signal);
  const geometry = readGeometry(type, device);
  const end = geometry === null ? null : endOf(type, geometry);
  const behind = end === null ? null : await dataIn(device, [{ from: end, to: lengthOf(device) }], signal);
  const amount = behind && `${behind.isSampled ? 'at least ' : ''}${formatBytes(behind.bytes)}`;
  return [
    ...(boot.bytes > 0 ? [{ what: 'boot code in front of the filesystem', count: null }] : []),
    ...(behind && behind.bytes > 0 ? [{ what: `data behind the filesystem (${amount})`, count: null }] : []),
  ];
}

/** Bytes from the beginning of the device to where the filesystem ends; `null` where it does not tell. */
function endOf(type: string, { blockBytes, made = {} }: Geometry): number | null {
  const product = (...factors: unknown[]): number | null =>
    factors.reduce<number | null>((all, one) => (all === null || typeof one !== 'number' ? null : all * one), 1);
  if (/^(ext[234]|xfs)$/.test(type)) return product(made['blocks'], blockBytes);
  if (type === 'btrfs') return product(made['bytes']);
  const sectors = made['sectors'];
  if (type === 'vfat') return product(sectors, made['sectorBytes']);
  // Its last sector is a copy of the first.
  return type === 'ntfs' && typeof sectors === 'number' ? product(sectors + 1, made['sectorBytes']) : null;
}
