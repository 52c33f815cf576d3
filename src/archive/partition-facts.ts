/** Describes the partition table in a manifest, which is the output of `sfdisk --json`. */
import type { ShownManifest, ShownPartition } from '../events.ts';
import { printable } from '../lib/printable.ts';

type TableFacts = Pick<ShownManifest, 'tableId' | 'partitions'>;

const SECTOR = 512;

/** `partition 3`; `null` is a disk without a partition table, or a whole disk. */
export const nameOfPart = (partition: number | null): string =>
  partition === null ? 'the disk' : `partition ${partition}`;

/** The manifest is untrusted input: invalid fields are left out, and text is made printable. */
export function tableFacts(json: unknown): TableFacts {
  const table = fields(fields(json)['partitiontable']);
  const entries: unknown = table['partitions'];
  const sectorBytes = amount(table['sectorsize']) ?? SECTOR;
  return {
    tableId: shown(table['id']),
    partitions: Array.isArray(entries) ? entries.flatMap((entry) => partitionFacts(fields(entry), sectorBytes)) : [],
  };
}

const TABLE_FIELDS = ['label', 'id', 'firstlba'];
const PARTITION_FIELDS = ['start', 'size', 'type', 'uuid', 'name', 'attrs', 'bootable'];

/** Returns the fields that determine the recreated table, as text. The device name is not one of them. */
export function comparableTable(json: unknown): string {
  const table = fields(fields(json)['partitiontable']);
  const entries: unknown = table['partitions'];
  const partitions = (Array.isArray(entries) ? entries : []).map((entry) => {
    const found = fields(entry);
    return [numberOf(found), ...PARTITION_FIELDS.map((name) => found[name])];
  });
  return JSON.stringify([...TABLE_FIELDS.map((name) => table[name]), partitions]);
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

/** For example `without -J size=4, but with --mixed`. @param options of a tool that creates a filesystem */
export function describeOptions(omitted: readonly string[], added: readonly string[]): string {
  const [without, instead] = [omitted, added].map((options) => options.join(' '));
  return [without && `without ${without}`, instead && `with ${instead}`].filter(Boolean).join(', but ');
}
