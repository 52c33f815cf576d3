/** What a device holds, and what that means for archiving it. */
import { runTool } from '../transfer/process.ts';

export interface Probe {
  /** `dos`, `gpt`, ...: a partition table; `null` for none. */
  tableType: string | null;
  /** `ext4`, `swap`, `crypto_LUKS`, ...; `null` when nothing is recognised, or contradictory things are. */
  type: string | null;
  uuid: string | null;
  label: string | null;
  /** blkid's own class of the type: `filesystem`, `raid`, `crypto`, `other`. */
  usage: string | null;
  /** Whether several things were recognised that contradict each other: it is not empty. */
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
  // A filesystem in the first sector can look like a partition table: boot sectors of FAT and NTFS end alike.
  return found.usage === 'filesystem' ? { ...found, tableType: null } : found;
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

/** Swap is worth nothing to anybody; what is not a filesystem can only be kept bit by bit. */
export function treatmentOf(found: Pick<Probe, 'type' | 'usage'>): Treatment {
  if (found.type === 'swap') return { how: 'record', reason: 'swap' };
  if (found.type !== null && found.usage === 'filesystem') return { how: 'mount', type: found.type };
  return { how: 'raw', reason: found.type === null ? 'nothing known is on it' : `it holds ${found.type}` };
}
