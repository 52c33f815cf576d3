/** Identifies the content of a device and decides how to archive it. */
import { open } from 'node:fs/promises';
import { runTool } from '../../transfer/run-tool.ts';
import { deviceOrImageSize } from '../devices/block-devices.ts';
import { hasBsdLabel, looksPartitioned, SECTOR_BYTES } from './first-sector.ts';

export interface Probe {
  /** Type of the partition table (`dos`, `gpt`, ...); `null` if there is none. */
  tableType: string | null;
  /** `ext4`, `swap`, `crypto_LUKS`, ...; `null` if the content is not recognized or contradictory. */
  type: string | null;
  uuid: string | null;
  label: string | null;
  /** blkid's class of the type: `filesystem`, `raid`, `crypto`, `other`. */
  usage: string | null;
  /**
   * Whether the device can be read in more than one way: it has signatures of several filesystems, or of a filesystem
   * and a partition table with partitions. Usually one of them is left from an earlier use, but it is unknown which.
   */
  isContradictory: boolean;
}

const NOTHING: Probe = { tableType: null, type: null, uuid: null, label: null, usage: null, isContradictory: false };

/** Exit codes of blkid: it found nothing, or several things at once. */
const EXIT_NOTHING_FOUND = 2;
const EXIT_AMBIVALENT = 8;

/**
 * Reads the device itself, because caches and the udev database may be stale or missing.
 * @param start where to look, in bytes. Only at the start of the device, tables are distinguished from boot sectors.
 */
export async function probe(device: string, signal: AbortSignal, start = 0): Promise<Probe> {
  const argv = ['blkid', '--probe', '--output', 'export', '--offset', String(start), '--', device];
  const { stdout, exitCode } = await runTool(argv, {
    signal,
    allowedExitCodes: [0, EXIT_NOTHING_FOUND, EXIT_AMBIVALENT],
  });
  if (exitCode !== 0) return { ...NOTHING, isContradictory: exitCode === EXIT_AMBIVALENT };
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
  return found.type === null || start > 0 ? found : await withoutFalseTable({ ...found, type: found.type }, device);
}

/**
 * The boot sectors of FAT, NTFS and boot loaders end like a partition table. Some versions of blkid report one, and
 * others do not search for one after they have found FAT or NTFS. None searches partitions for the labels of BSD. If
 * there is a filesystem (or swap, LVM, ...), a table therefore counts only if it has partitions, and then the device is
 * contradictory.
 */
async function withoutFalseTable(found: Probe & { type: string }, device: string): Promise<Probe> {
  const isMbr = found.tableType === null || found.tableType === 'dos';
  if (!isMbr) return { ...found, isContradictory: true };
  const tableType = await tableAt(device);
  return { ...found, tableType, isContradictory: tableType !== null };
}

async function tableAt(device: string): Promise<'dos' | 'bsd' | null> {
  await using file = await open(device, 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(2 * SECTOR_BYTES), 0, 2 * SECTOR_BYTES, 0);
  if (bytesRead < buffer.length) return null;
  if (looksPartitioned(buffer.subarray(0, SECTOR_BYTES), deviceOrImageSize(device) / SECTOR_BYTES)) return 'dos';
  return hasBsdLabel(buffer.subarray(SECTOR_BYTES)) ? 'bsd' : null;
}

function splitFact(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), withoutBackslashes(line.slice(at + 1))];
}

/** blkid escapes characters that a shell would interpret. */
const withoutBackslashes = (text: string): string => text.replace(/\\(.)/g, '$1');

export type Treatment =
  | { how: 'mount'; type: string }
  | { how: 'record'; reason: string }
  | { how: 'raw'; reason: string };

/** The part of a probe that decides how a device is archived. */
type Signs = Pick<Probe, 'type' | 'usage'> & Partial<Pick<Probe, 'tableType' | 'isContradictory'>>;

/** Swap has no content to keep. Anything that is not certainly one filesystem is kept as an image. */
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

/** Explains why the content of a device is contradictory. */
export const contradictionOf = ({ type, tableType }: Signs): string =>
  type === null
    ? 'it can be read in several ways: its signatures contradict each other'
    : `it can be read in two ways: as ${type}, and as a partition table (${tableType})`;
