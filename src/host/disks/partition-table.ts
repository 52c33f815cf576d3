/** What is on a disk, by its first sectors. */
import { open } from 'node:fs/promises';
import { SnapError } from '../../errors.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';
import { lengthOf } from '../devices/block-devices.ts';
import { contradictionOf, probe } from '../filesystems/filesystems.ts';
import { isHybrid } from '../filesystems/first-sector.ts';

export interface Partition {
  number: number;
  /** Bytes from the beginning of the disk. */
  start: number;
  size: number;
  /** GUID for GPT, hexadecimal code for MBR. */
  type: string;
}

export interface PartitionTable {
  kind: 'none' | 'dos' | 'gpt';
  sectorBytes: number;
  /** As `sfdisk --json` printed it; `null` for `none`. */
  json: unknown;
  /** The first 446 bytes of the disk, where boot loaders put their first stage. */
  bootCode: Buffer;
  /**
   * With `dos`: what follows the first sector, up to the first partition, without the zeros at its end. There boot
   * loaders put their second stage. `null` for other tables.
   */
  bootGap: Buffer | null;
  /** What lies on the disk: one that goes beyond its end is cut there, and one that begins beyond it is left out. */
  partitions: Partition[];
  /** Numbers of the partitions that begin beyond the end of the disk: there is nothing of them. */
  beyondEnd: number[];
  /** Why the disk cannot be taken apart by its table, and is worth something only as a whole; else `null`. */
  doubt: string | null;
}

interface SfdiskTable {
  label: string;
  sectorsize?: number;
  partitions?: { node: string; start: number; size: number; type: string }[];
}

/** Of the first sector; what follows is the table of partitions. */
export const BOOT_CODE_BYTES = 446;

const SECTOR = 512;

/** Boot loaders need some ten KiB; what lies farther from the beginning of the disk is not theirs. */
export const LONGEST_GAP = 1024 * 1024 - SECTOR;

/** Types of MBR partitions that only contain others. */
const EXTENDED = new Set(['5', 'f', '85']);

/** @param type in base 16, of an MBR partition. */
export const isExtended = (type: string): boolean => EXTENDED.has(type.toLowerCase());

/** A table that is not understood, or that contradicts what else is on the disk, is in `doubt`. */
export async function readPartitionTable(device: string, signal: AbortSignal): Promise<PartitionTable> {
  const bootCode = await readStart(device, BOOT_CODE_BYTES);
  const found = await probe(device, signal);
  const none: PartitionTable = {
    kind: 'none',
    sectorBytes: 512,
    json: null,
    bootCode,
    bootGap: null,
    partitions: [],
    beyondEnd: [],
    doubt: found.isContradictory ? contradictionOf(found) : null,
  };
  const { tableType: kind } = found;
  if (kind === null) return none;
  if (kind !== 'dos' && kind !== 'gpt') return { ...none, doubt: `partition tables of type ${kind} are not known` };
  const json = await readSfdisk(device, signal);
  if (json === null || labelOf(json) !== kind)
    return { ...none, doubt: none.doubt ?? `sfdisk cannot read its partition table (${kind})` };
  const apart = await takeApart(device, kind, json);
  const doubt =
    none.doubt ?? poolOf(apart.partitions) ?? (await hybridOf(device, kind)) ?? troubleWith(kind, apart.partitions);
  return { ...none, kind, ...apart, doubt };
}

/** To mount one of two that overlap replays its journal to the other. */
function troubleWith(kind: string, partitions: readonly Partition[]): string | null {
  if (partitions.length === 0) return `its partition table (${kind}) is empty`;
  const inOrder = partitions.toSorted((one, other) => one.start - other.start);
  const ends = inOrder.map((_, index) => Math.max(...inOrder.slice(0, index).map(({ start, size }) => start + size)));
  const overlapping = inOrder.find(({ start }, index) => start < (ends[index] ?? 0));
  return overlapping ? `partition ${overlapping.number} overlaps another one` : null;
}

const DYNAMIC_DISK = 'a dynamic disk of Windows (LDM)';

/**
 * Types of partitions that are room for volumes, which are described elsewhere: a filesystem at the beginning of one is
 * but the first of them, or a part of it. Sources: the kernel's block/partitions/ldm.c; PARTITION_..._GUID of Windows'
 * winioctl.h.
 */
const POOLS: Record<string, string> = {
  '42': DYNAMIC_DISK,
  '5808C8AA-7E8F-42E0-85D2-E1E90434CFB3': DYNAMIC_DISK,
  'AF9B60A0-1431-4F62-BC68-3311714A69AD': DYNAMIC_DISK,
  'E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D': 'Storage Spaces of Windows',
};

function poolOf(partitions: readonly Partition[]): string | null {
  const pool = partitions.flatMap(({ type }) => POOLS[type.toUpperCase()] ?? []).at(0);
  return pool === undefined ? null : `it belongs to ${pool}, whose volumes the partition table does not describe`;
}

async function hybridOf(device: string, kind: 'dos' | 'gpt'): Promise<string | null> {
  if (kind !== 'gpt' || !isHybrid(await readStart(device, SECTOR))) return null;
  return 'it has two partition tables: a GPT, and an MBR with partitions of its own';
}

async function takeApart(
  device: string,
  kind: 'dos' | 'gpt',
  json: string,
): Promise<Pick<PartitionTable, 'sectorBytes' | 'json' | 'partitions' | 'beyondEnd' | 'bootGap'>> {
  const { partitiontable: table } = JSON.parse(json) as { partitiontable: SfdiskTable };
  const sectorBytes = table.sectorsize ?? 512;
  const diskBytes = lengthOf(device);
  const listed = (table.partitions ?? [])
    .filter(({ type }) => !(kind === 'dos' && isExtended(type)))
    .map(({ node, start, size, type }) => ({
      number: partitionNumber(node, device),
      start: start * sectorBytes,
      size: size * sectorBytes,
      type,
    }));
  const partitions = listed.flatMap((partition) => clipped(partition, diskBytes));
  const beyondEnd = listed.filter(({ start }) => start >= diskBytes).map(({ number }) => number);
  const bootGap = kind === 'dos' ? await readGap(device, partitions) : null;
  return { sectorBytes, json: JSON.parse(json), partitions, beyondEnd, bootGap };
}

/**
 * As the kernel does: what lies beyond the end of the disk is nowhere. Source: add_partition() in the kernel's
 * block/partitions/core.c.
 */
function clipped<T extends { start: number; size: number }>(partition: T, diskBytes: number): T[] {
  const { start, size } = partition;
  return start >= diskBytes ? [] : [{ ...partition, size: Math.min(size, diskBytes - start) }];
}

/** `/dev/nvme1n1p2` and `/dev/xvdf2` are partition 2 of their disks. */
function partitionNumber(node: string, device: string): number {
  const number = Number(node.slice(device.length).replace(/^p/, ''));
  if (!Number.isInteger(number) || number < 1) throw unreadable(device, `the partition name ${node}`);
  return number;
}

const labelOf = (json: string): string => (JSON.parse(json) as { partitiontable: SfdiskTable }).partitiontable.label;

/** `null` for a table that sfdisk refuses. */
async function readSfdisk(device: string, signal: AbortSignal): Promise<string | null> {
  try {
    return (await runTool(['sfdisk', '--json', device], { signal })).stdout;
  } catch (error) {
    if (error instanceof ToolError) return null;
    throw error;
  }
}

const unreadable = (device: string, what: string): SnapError =>
  new SnapError('PARTITION_TABLE', `cannot read ${what} on ${device}`, {
    hint: 'archive the whole disk as it is with --dd',
  });

async function readGap(device: string, partitions: readonly Partition[]): Promise<Buffer> {
  const first = Math.min(...partitions.map(({ start }) => start), SECTOR + LONGEST_GAP);
  const gap = await readAt(device, SECTOR, Math.max(0, first - SECTOR));
  const end = gap.findLastIndex((byte) => byte !== 0) + 1;
  return gap.subarray(0, end);
}

const readStart = (device: string, length: number): Promise<Buffer> => readAt(device, 0, length);

async function readAt(device: string, position: number, length: number): Promise<Buffer> {
  await using file = await open(device, 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
