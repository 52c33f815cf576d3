/** Reads the partition table of a disk. */
import { open } from 'node:fs/promises';
import { SnapError } from '../../errors.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';
import { deviceOrImageSize } from '../devices/block-devices.ts';
import { contradictionOf, probe } from '../filesystems/filesystems.ts';
import { isHybrid } from '../filesystems/first-sector.ts';
import { isExtended, MAX_PARTITION, readMbr } from './mbr.ts';

export interface Partition {
  number: number;
  /** Bytes from the start of the disk. */
  start: number;
  size: number;
  /** A GUID for GPT, a hexadecimal code for MBR. */
  type: string;
}

export interface PartitionTable {
  kind: 'none' | 'dos' | 'gpt';
  sectorBytes: number;
  /** The output of `sfdisk --json`; `null` for `none`. */
  json: unknown;
  /** The first 446 bytes of the disk, where boot loaders have their first stage. */
  bootCode: Buffer;
  /**
   * For `dos`, the bytes between the first sector and the first partition without trailing zeros, where boot loaders
   * have their second stage. `null` for other tables.
   */
  bootGap: Buffer | null;
  /** The partitions on the disk. They are cut at its end, and those that start after it are left out. */
  partitions: Partition[];
  /** Numbers of the partitions that start after the end of the disk. They have no content. */
  beyondEnd: number[];
  /** Why the disk must be archived as a whole instead of by its partitions; otherwise `null`. */
  doubt: string | null;
}

interface SfdiskTable {
  label: string;
  sectorsize?: number;
  partitions?: { node: string; start: number; size: number; type: string }[];
}

/** Bytes of the first sector before the partition entries. */
export const BOOT_CODE_BYTES = 446;

const SECTOR = 512;

/** Boot loaders need some tens of KiB. Data further from the start of the disk does not belong to them. */
export const MAX_BOOT_GAP = 1024 * 1024 - SECTOR;

/** Reads the table. It sets `doubt` if the table is not understood or contradicts other content of the disk. */
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
  if (kind !== 'dos' && kind !== 'gpt')
    return { ...none, doubt: `its partition table has an unsupported type (${kind})` };
  const json = await readSfdisk(device, signal);
  if (json === null || tableIn(json).label !== kind)
    return { ...none, doubt: none.doubt ?? `sfdisk cannot read its partition table (${kind})` };
  const listed = await readPartitions(device, kind, json);
  const doubt =
    none.doubt ??
    poolOf(listed.partitions) ??
    (await hybridOf(device, kind)) ??
    (await dissentOf(device, kind, json, signal)) ??
    (await unitProblem(device, kind, listed, signal)) ??
    layoutProblem(kind, listed.partitions);
  return { ...none, kind, ...listed, doubt };
}

/** Mounting one of two overlapping partitions would replay its journal into the other. */
function layoutProblem(kind: string, partitions: readonly Partition[]): string | null {
  if (partitions.length === 0) return `its partition table (${kind}) is empty`;
  if (partitions.length > MAX_PARTITION)
    return `its partition table (${kind}) has ${partitions.length} partitions, and the kernel finds only ${MAX_PARTITION}`;
  let end = 0;
  for (const { number, start, size } of partitions.toSorted((one, other) => one.start - other.start)) {
    if (start < end) return `partition ${number} overlaps another one`;
    end = Math.max(end, start + size);
  }
  return null;
}

const DYNAMIC_DISK = 'a Windows dynamic disk (LDM)';

/**
 * Types of partitions that hold volumes described elsewhere. A filesystem at the start of such a partition is only the
 * first volume or a part of it. Sources: block/partitions/ldm.c of the kernel; PARTITION_..._GUID in winioctl.h of
 * Windows.
 */
const POOLS: Record<string, string> = {
  '42': DYNAMIC_DISK,
  '5808C8AA-7E8F-42E0-85D2-E1E90434CFB3': DYNAMIC_DISK,
  'AF9B60A0-1431-4F62-BC68-3311714A69AD': DYNAMIC_DISK,
  'E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D': 'Windows Storage Spaces',
};

function poolOf(partitions: readonly Partition[]): string | null {
  const pool = partitions.flatMap(({ type }) => POOLS[type.toUpperCase()] ?? []).at(0);
  return pool === undefined ? null : `it belongs to ${pool}, whose volumes the partition table does not describe`;
}

async function hybridOf(device: string, kind: 'dos' | 'gpt'): Promise<string | null> {
  if (kind !== 'gpt' || !isHybrid(await readStart(device, SECTOR))) return null;
  return 'it has two partition tables: a GPT, and an MBR with partitions of its own';
}

/** Bytes per sector of many disks outside EC2, of which an image may have been imported. */
const LARGE_SECTOR = 4096;

/**
 * Whether the table counts in larger sectors than this disk has: its positions lead to no known content if they are in
 * sectors of 512 bytes, but do if they are in larger ones. A GPT is found only with the right size.
 */
async function unitProblem(
  device: string,
  kind: 'dos' | 'gpt',
  { partitions, sectorBytes }: Pick<PartitionTable, 'partitions' | 'sectorBytes'>,
  signal: AbortSignal,
): Promise<string | null> {
  if (kind !== 'dos' || sectorBytes >= LARGE_SECTOR) return null;
  const isKnown = async (start: number): Promise<boolean> => (await probe(device, signal, start)).type !== null;
  for (const { start } of partitions) if (await isKnown(start)) return null;
  const diskBytes = deviceOrImageSize(device);
  for (const start of partitions.map((partition) => (partition.start / sectorBytes) * LARGE_SECTOR))
    if (start < diskBytes && (await isKnown(start)))
      return `its partition table (dos) counts in sectors of ${LARGE_SECTOR} bytes`;
  return null;
}

/**
 * sfdisk lists one extended partition, one partition for each table in it, and no more than 60 partitions. The kernel
 * has no such limits, and numbers what it finds.
 */
async function dissentOf(
  device: string,
  kind: 'dos' | 'gpt',
  json: string,
  signal: AbortSignal,
): Promise<string | null> {
  if (kind !== 'dos') return null;
  const { sectorsize = SECTOR, partitions = [] } = tableIn(json);
  const listed = partitions
    .filter(({ type }) => !isExtended(type))
    .map(({ node, start, size }) => ({ number: partitionNumber(node, device), start, size }));
  const { partitions: ofKernel, isEndless } = await readMbr(device, sectorsize, signal);
  if (isEndless) return 'the chain of its extended partitions (dos) does not end';
  const describe = ({ number, start, size }: (typeof listed)[number]): string => `${number} ${start} ${size}`;
  const isSame = listed.map(describe).sort().join() === ofKernel.map(describe).sort().join();
  return isSame ? null : 'the kernel finds other partitions in its partition table (dos) than sfdisk';
}

const tableIn = (json: string): SfdiskTable => (JSON.parse(json) as { partitiontable: SfdiskTable }).partitiontable;

async function readPartitions(
  device: string,
  kind: 'dos' | 'gpt',
  json: string,
): Promise<Pick<PartitionTable, 'sectorBytes' | 'json' | 'partitions' | 'beyondEnd' | 'bootGap'>> {
  const table = tableIn(json);
  const sectorBytes = table.sectorsize ?? 512;
  const diskBytes = deviceOrImageSize(device);
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

/** Cuts a partition at the end of the disk, like add_partition() in block/partitions/core.c of the kernel. */
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

/**
 * @returns `null` for a table that sfdisk refuses. Its messages about what it omits precede the JSON in the same
 * stream.
 */
async function readSfdisk(device: string, signal: AbortSignal): Promise<string | null> {
  try {
    const { stdout } = await runTool(['sfdisk', '--json', device], { signal });
    return stdout.slice(stdout.search(/^\{/m));
  } catch (error) {
    if (error instanceof ToolError) return null;
    throw error;
  }
}

const unreadable = (device: string, what: string): SnapError =>
  new SnapError('PARTITION_TABLE', `cannot read ${what} on ${device}`, {
    hint: 'archive the whole disk with --dd',
  });

async function readGap(device: string, partitions: readonly Partition[]): Promise<Buffer> {
  const first = Math.min(...partitions.map(({ start }) => start), SECTOR + MAX_BOOT_GAP);
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
