/** Reads the partition table of an MBR as block/partitions/msdos.c of the kernel does. */
import { type FileHandle, open } from 'node:fs/promises';
import { entriesOf, isSigned, SECTOR_BYTES } from '../filesystems/first-sector.ts';

/** A partition in sectors from the start of the disk. */
export interface MbrPartition {
  number: number;
  start: number;
  size: number;
}

export interface Mbr {
  /** The partitions except extended ones, which only contain others. */
  partitions: MbrPartition[];
  /** Sectors in extended partitions that have tables of their own. */
  links: number[];
  /** Whether tables refer to each other in a circle, or there are more partitions than the kernel supports. */
  isEndless: boolean;
}

/** Types of MBR partitions that only contain others. */
const EXTENDED = new Set(['5', 'f', '85']);

/** @param type hexadecimal code of an MBR partition. */
export const isExtended = (type: string): boolean => EXTENDED.has(type.toLowerCase());

const FIRST_LOGICAL = 5;

/** Highest number of a partition in the kernel. Source: DISK_MAX_PARTS in include/linux/blkdev.h. */
export const MAX_PARTITION = 255;

/** Tables without a partition that the kernel follows before it assumes a loop. */
const MAX_EMPTY_LINKS = 100;

interface Entry {
  isContainer: boolean;
  start: number;
  size: number;
}

export async function readMbr(device: string, sectorBytes: number, signal: AbortSignal): Promise<Mbr> {
  await using file = await open(device, 'r');
  const primary = await entriesAt(file, 0);
  const found: Mbr = { partitions: [], links: [], isEndless: false };
  for (const [index, { isContainer, start, size }] of primary.entries())
    if (size > 0 && !isContainer) found.partitions.push({ number: index + 1, start, size });
  for (const container of primary.filter(({ size, isContainer }) => size > 0 && isContainer))
    await addLogical({ file, sectorBytes, signal }, container, found);
  return found;
}

interface OpenDisk {
  file: FileHandle;
  sectorBytes: number;
  signal: AbortSignal;
}

/** Each table has partitions relative to itself, and a link to the next table relative to the extended partition. */
async function addLogical({ file, sectorBytes, signal }: OpenDisk, whole: Entry, found: Mbr): Promise<void> {
  let table: Entry | undefined = whole;
  for (let empty = 0; table !== undefined && empty <= MAX_EMPTY_LINKS; empty++) {
    signal.throwIfAborted();
    found.isEndless ||= found.links.includes(table.start) || (found.partitions.at(-1)?.number ?? 0) > MAX_PARTITION;
    if (found.isEndless) return;
    found.links.push(table.start);
    const entries = await entriesAt(file, table.start * sectorBytes);
    for (const { start, size } of partitionsIn(entries, table, whole)) {
      const number = Math.max(FIRST_LOGICAL - 1, found.partitions.at(-1)?.number ?? 0) + 1;
      found.partitions.push({ number, start, size });
      empty = 0;
    }
    const next = entries.find(({ size, isContainer }) => size > 0 && isContainer);
    table = next && { ...next, start: whole.start + next.start };
  }
}

/** The third and fourth entry may be garbage, so they count only within bounds. */
function partitionsIn(entries: readonly Entry[], table: Entry, whole: Entry): Omit<MbrPartition, 'number'>[] {
  return entries.flatMap(({ isContainer, start: offset, size }, index) => {
    if (size === 0 || isContainer) return [];
    const start = table.start + offset;
    const isInside = offset + size <= table.size && start + size <= whole.start + whole.size;
    return index < 2 || isInside ? [{ start, size }] : [];
  });
}

/** @returns no entries for a sector that has no table. */
async function entriesAt(file: FileHandle, position: number): Promise<Entry[]> {
  const sector = Buffer.alloc(SECTOR_BYTES);
  const { bytesRead } = await file.read(sector, 0, SECTOR_BYTES, position);
  if (bytesRead < SECTOR_BYTES || !isSigned(sector)) return [];
  return entriesOf(sector).map(({ type, start, sectors: size }) => ({
    isContainer: isExtended(type.toString(16)),
    start,
    size,
  }));
}
