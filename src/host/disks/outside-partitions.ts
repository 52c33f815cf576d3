/**
 * Finds data outside the partitions of a disk, which archives of the partitions do not contain: deleted partitions, or
 * volumes of programs that use no partition table. It ignores what the manifest has and what sfdisk recreates.
 */
import { open } from 'node:fs/promises';
import { deviceOrImageSize } from '../devices/block-devices.ts';
import { type DeviceRange, describeData, findData } from '../devices/find-data.ts';
import type { NotKept } from '../filesystems/not-kept-note.ts';
import { readMbr } from './mbr.ts';
import { MAX_BOOT_GAP, type PartitionTable } from './partition-table.ts';

const SECTOR = 512;

/** @returns an empty list for disks without a table or with a doubtful one, because these are archived as a whole. */
export async function notKeptOutside(device: string, table: PartitionTable, signal: AbortSignal): Promise<NotKept[]> {
  if (table.kind === 'none' || table.doubt !== null) return [];
  const partitions = table.partitions.map(({ start, size }) => ({ from: start, to: start + size }));
  const structure = table.kind === 'gpt' ? await partsOfGpt(device, table) : await partsOfMbr(device, table, signal);
  const free = gapsBetween([...partitions, ...structure], deviceOrImageSize(device));
  const what = describeData(await findData(device, free, signal), 'outside the partitions');
  return what === null ? [] : [{ what, count: null }];
}

/** Returns the ranges that are not covered, in ascending order. */
export function gapsBetween(covered: readonly DeviceRange[], length: number): DeviceRange[] {
  const gaps: DeviceRange[] = [];
  let end = 0;
  for (const { from, to } of covered.toSorted((one, other) => one.from - other.from)) {
    if (from > end) gaps.push({ from: end, to: Math.min(from, length) });
    end = Math.max(end, to);
  }
  if (end < length) gaps.push({ from: end, to: length });
  return gaps.filter(({ from, to }) => to > from);
}

/**
 * Offsets of the position, number and size of the entries in a GPT header. Source: UEFI specification, section 5.3.2.
 */
const GPT = { entries: 72, count: 80, entryBytes: 84 } as const;

/** If the disk has grown, the old backup table is still after the last sector that the header allows for partitions. */
async function partsOfGpt(device: string, { sectorBytes, json }: PartitionTable): Promise<DeviceRange[]> {
  const header = await readAt(device, sectorBytes, SECTOR);
  const isWhole = header.toString('latin1', 0, 8) === 'EFI PART';
  const entryBytes = isWhole ? header.readUInt32LE(GPT.count) * header.readUInt32LE(GPT.entryBytes) : 0;
  const length = Math.max(16_384, entryBytes);
  const entriesAt = isWhole ? Number(header.readBigUInt64LE(GPT.entries)) * sectorBytes : 2 * sectorBytes;
  const diskBytes = deviceOrImageSize(device);
  const { lastlba } = (json as { partitiontable: { lastlba?: number } }).partitiontable;
  const second = lastlba === undefined ? diskBytes : (lastlba + 1) * sectorBytes;
  return [
    { from: 0, to: 2 * sectorBytes },
    { from: entriesAt, to: entriesAt + length },
    { from: second, to: second + length + sectorBytes },
    { from: diskBytes - length - sectorBytes, to: diskBytes },
  ];
}

/** The manifest has the first sector and the boot loader after it. Extended partitions are chains of such sectors. */
async function partsOfMbr(
  device: string,
  { partitions, sectorBytes }: PartitionTable,
  signal: AbortSignal,
): Promise<DeviceRange[]> {
  const first = Math.min(...partitions.map(({ start }) => start), SECTOR + MAX_BOOT_GAP);
  const { links } = await readMbr(device, sectorBytes, signal);
  return [{ from: 0, to: first }, ...links.map((at) => ({ from: at * sectorBytes, to: at * sectorBytes + SECTOR }))];
}

async function readAt(device: string, position: number, length: number): Promise<Buffer> {
  await using file = await open(device, 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
