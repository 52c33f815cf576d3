/** What is on a disk, by its first sectors. */
import { open } from 'node:fs/promises';
import { SnapError } from '../errors.ts';
import { runTool, ToolError } from '../transfer/process.ts';
import { probe } from './filesystems.ts';

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
  partitions: Partition[];
}

interface SfdiskTable {
  label: string;
  sectorsize?: number;
  partitions?: { node: string; start: number; size: number; type: string }[];
}

const BOOT_CODE_BYTES = 446;

const SECTOR = 512;

/** Boot loaders need some ten KiB; what lies farther from the beginning of the disk is not theirs. */
const LONGEST_GAP = 1024 * 1024 - SECTOR;

/** Types of MBR partitions that only contain others. */
const EXTENDED = new Set(['5', 'f', '85']);

/** @param type in base 16, of an MBR partition. */
export const isExtended = (type: string): boolean => EXTENDED.has(type.toLowerCase());

/** @throws SnapError `PARTITION_TABLE` for a table that is there but cannot be read. */
export async function readPartitionTable(device: string, signal: AbortSignal): Promise<PartitionTable> {
  const bootCode = await readStart(device, BOOT_CODE_BYTES);
  const { tableType } = await probe(device, signal);
  if (tableType === null)
    return { kind: 'none', sectorBytes: 512, json: null, bootCode, bootGap: null, partitions: [] };
  if (tableType !== 'dos' && tableType !== 'gpt') throw unreadable(device, `partition tables of type ${tableType}`);
  const json = await readSfdisk(device, signal);
  const { partitiontable: table } = JSON.parse(json) as { partitiontable: SfdiskTable };
  const sectorBytes = table.sectorsize ?? 512;
  const partitions = (table.partitions ?? [])
    .filter(({ type }) => !(tableType === 'dos' && isExtended(type)))
    .map(({ node, start, size, type }) => ({
      number: partitionNumber(node, device),
      start: start * sectorBytes,
      size: size * sectorBytes,
      type,
    }));
  const bootGap = tableType === 'dos' ? await readGap(device, partitions) : null;
  return { kind: tableType, sectorBytes, json: JSON.parse(json), bootCode, bootGap, partitions };
}

/** `/dev/nvme1n1p2` and `/dev/xvdf2` are partition 2 of their disks. */
function partitionNumber(node: string, device: string): number {
  const number = Number(node.slice(device.length).replace(/^p/, ''));
  if (!Number.isInteger(number) || number < 1) throw unreadable(device, `the partition name ${node}`);
  return number;
}

async function readSfdisk(device: string, signal: AbortSignal): Promise<string> {
  try {
    return (await runTool(['sfdisk', '--json', device], { signal })).stdout;
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause;
    throw unreadable(device, 'its partition table', cause);
  }
}

const unreadable = (device: string, what: string, cause?: unknown): SnapError =>
  new SnapError('PARTITION_TABLE', `cannot read ${what} on ${device}`, {
    hint: 'archive the whole disk as it is with --dd',
    cause,
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
