/** What a partition table says of a disk, for people: read out of what `sfdisk --json` printed, which the manifest keeps. */
import type { ShownManifest, ShownPartition } from '../event-records.ts';
import { printable } from '../lib/printable.ts';

type TableFacts = Pick<ShownManifest, 'tableId' | 'partitions'>;

const SECTOR = 512;

/** `partition 3`; `null` is a disk without a partition table, or the whole of one with a table. */
export const nameOfPart = (partition: number | null): string =>
  partition === null ? 'the disk' : `partition ${partition}`;

/** A manifest is input from elsewhere: what cannot be understood is left out, and text is made printable. */
export function tableFacts(json: unknown): TableFacts {
  const table = fields(fields(json)['partitiontable']);
  const entries: unknown = table['partitions'];
  const sectorBytes = amount(table['sectorsize']) ?? SECTOR;
  return {
    tableId: shown(table['id']),
    partitions: Array.isArray(entries) ? entries.flatMap((entry) => partitionFacts(fields(entry), sectorBytes)) : [],
  };
}

const OF_TABLE = ['label', 'id', 'firstlba'];
const OF_PARTITION = ['start', 'size', 'type', 'uuid', 'name', 'attrs', 'bootable'];

/** What a table is made anew of, as text. How its device was called is no part of that. */
export function tableEssence(json: unknown): string {
  const table = fields(fields(json)['partitiontable']);
  const entries: unknown = table['partitions'];
  const partitions = (Array.isArray(entries) ? entries : []).map((entry) => {
    const found = fields(entry);
    return [numberOf(found), ...OF_PARTITION.map((name) => found[name])];
  });
  return JSON.stringify([...OF_TABLE.map((name) => table[name]), partitions]);
}

/** `/dev/nvme1n1p2` and `/dev/xvdf2` are partition 2. */
const numberOf = (entry: Record<string, unknown>): string | undefined => /\d+$/.exec(text(entry['node']) ?? '')?.[0];

function partitionFacts(entry: Record<string, unknown>, sectorBytes: number): ShownPartition[] {
  const number = numberOf(entry);
  if (number === undefined) return [];
  const [start, size] = [amount(entry['start']), amount(entry['size'])];
  return [
    {
      number: Number(number),
      start: start === null ? null : start * sectorBytes,
      bytes: size === null ? null : size * sectorBytes,
      type: shown(entry['type']),
      name: shown(entry['name']),
      uuid: shown(entry['uuid']),
    },
  ];
}

const fields = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

const shown = (value: unknown): string | null => (typeof value === 'string' ? printable(value) : null);

const amount = (value: unknown): number | null =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;
