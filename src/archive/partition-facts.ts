/** What a partition table says of a disk, for people: read out of what `sfdisk --json` printed, which the manifest keeps. */

export interface TableFacts {
  /** GUID for GPT, hexadecimal number for MBR. */
  id: string | null;
  /** In the order of the table; extended ones too. */
  partitions: PartitionFacts[];
}

export interface PartitionFacts {
  number: number;
  /** Bytes from the beginning of the disk; here and below `null` where the table does not tell. */
  start: number | null;
  bytes: number | null;
  /** GUID for GPT, hexadecimal code for MBR. */
  type: string | null;
  name: string | null;
  uuid: string | null;
}

const SECTOR = 512;

/** A manifest is input from elsewhere: what cannot be understood is left out. */
export function tableFacts(json: unknown): TableFacts {
  const table = fields(fields(json)['partitiontable']);
  const entries: unknown = table['partitions'];
  const sectorBytes = amount(table['sectorsize']) ?? SECTOR;
  return {
    id: text(table['id']),
    partitions: Array.isArray(entries) ? entries.flatMap((entry) => partitionFacts(fields(entry), sectorBytes)) : [],
  };
}

/** `/dev/nvme1n1p2` and `/dev/xvdf2` are partition 2. */
function partitionFacts(entry: Record<string, unknown>, sectorBytes: number): PartitionFacts[] {
  const [number] = /\d+$/.exec(text(entry['node']) ?? '') ?? [];
  if (number === undefined) return [];
  const [start, size] = [amount(entry['start']), amount(entry['size'])];
  return [
    {
      number: Number(number),
      start: start === null ? null : start * sectorBytes,
      bytes: size === null ? null : size * sectorBytes,
      type: text(entry['type']),
      name: text(entry['name']),
      uuid: text(entry['uuid']),
    },
  ];
}

const fields = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

const amount = (value: unknown): number | null =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;
