/** What a device holds, and what that means for archiving it. */
import { open } from 'node:fs/promises';
import { runTool } from '../../transfer/run-tool.ts';
import { lengthOf } from '../devices/block-devices.ts';
import { looksPartitioned, SECTOR_BYTES } from './first-sector.ts';

export interface Probe {
  /** `dos`, `gpt`, ...: a partition table; `null` for none. */
  tableType: string | null;
  /** `ext4`, `swap`, `crypto_LUKS`, ...; `null` when nothing is recognised, or contradictory things are. */
  type: string | null;
  uuid: string | null;
  label: string | null;
  /** blkid's own class of the type: `filesystem`, `raid`, `crypto`, `other`. */
  usage: string | null;
  /**
   * Whether it can be read in more than one way: it has signatures of several filesystems, or of a filesystem and of a
   * partition table that has partitions. One of them is usually left from an earlier use, and nothing tells which.
   */
  isContradictory: boolean;
}

const NOTHING: Probe = { tableType: null, type: null, uuid: null, label: null, usage: null, isContradictory: false };

/** blkid found nothing that it knows, or several things at once. */
const NOTHING_FOUND = 2;
const AMBIVALENT = 8;

/** Looks at the device itself: caches and udev's database may be stale, or not there. */
export async function probe(device: string, signal: AbortSignal): Promise<Probe> {
  const { stdout, exitCode } = await runTool(['blkid', '--probe', '--output', 'export', '--', device], {
    signal,
    allowedExitCodes: [0, NOTHING_FOUND, AMBIVALENT],
  });
  if (exitCode !== 0) return { ...NOTHING, isContradictory: exitCode === AMBIVALENT };
  const facts = new Map(stdout.split('\n').map((line): [string, string] => splitFact(line)));
  const usage = facts.get('USAGE') ?? null;
  const found = {
    tableType: facts.get('PTTYPE') ?? null,
    type: facts.get('TYPE') ?? null,
    uuid: facts.get('UUID') ?? null,
    label: facts.get('LABEL') ?? null,
    usage,
    isContradictory: false,
  };
  return found.type === null ? found : await withoutFalseTable({ ...found, type: found.type }, device);
}

/**
 * Boot sectors of FAT, NTFS and boot loaders end like a partition table, and some versions of blkid call them one,
 * while others do not look for a table where they see FAT or NTFS. So where there is a filesystem (or swap, LVM, ...),
 * only a table that has partitions counts, and then the device can be read in two ways.
 */
async function withoutFalseTable(found: Probe & { type: string }, device: string): Promise<Probe> {
  const isMbr = found.tableType === null || found.tableType === 'dos';
  if (!isMbr) return { ...found, isContradictory: true };
  const isTable = await startsWithTable(device);
  return { ...found, tableType: isTable ? 'dos' : null, isContradictory: isTable };
}

async function startsWithTable(device: string): Promise<boolean> {
  await using file = await open(device, 'r');
  const sector = Buffer.alloc(SECTOR_BYTES);
  const { bytesRead } = await file.read(sector, 0, SECTOR_BYTES, 0);
  return bytesRead === SECTOR_BYTES && looksPartitioned(sector, lengthOf(device) / SECTOR_BYTES);
}

function splitFact(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), withoutBackslashes(line.slice(at + 1))];
}

/** blkid puts a backslash before characters that a shell would interpret. */
const withoutBackslashes = (text: string): string => text.replace(/\\(.)/g, '$1');

export type Treatment =
  | { how: 'mount'; type: string }
  | { how: 'record'; reason: string }
  | { how: 'raw'; reason: string };

/** What of a probe decides how a device is archived. */
type Signs = Pick<Probe, 'type' | 'usage'> & Partial<Pick<Probe, 'tableType' | 'isContradictory'>>;

/** Swap is worth nothing to anybody; what is not a filesystem, or may be another one, can only be kept bit by bit. */
export function treatmentOf(found: Signs): Treatment {
  if (found.isContradictory) return { how: 'raw', reason: contradictionOf(found) };
  if (found.type === 'swap') return { how: 'record', reason: 'swap' };
  if (found.type !== null && found.usage === 'filesystem') return { how: 'mount', type: found.type };
  if (found.type !== null) return { how: 'raw', reason: `it holds ${found.type}` };
  return {
    how: 'raw',
    reason: found.tableType ? 'it holds a partition table of its own' : 'it holds no known filesystem',
  };
}

/** Why a device cannot be told to hold one thing. */
export const contradictionOf = ({ type, tableType }: Signs): string =>
  type === null
    ? 'it can be read in several ways, by the signatures on it'
    : `it can be read in two ways: as ${type}, and by a partition table (${tableType})`;
