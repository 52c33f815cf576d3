/** The tables of `compare`: the cost of archives relative to the cost of snapshots. */
import {
  type BreakEven,
  breakEvenAt,
  breakEvenForMany,
  type CompareInput,
  type CompareOption,
  type CompareRow,
  compareAt,
} from './compare-model.ts';
import type { Prices, RegionPrices } from './price-types.ts';
import { noteOn, pricesIn } from './prices.ts';

export interface CompareSettings {
  snapshots: number;
  sizeGiB: number;
  /** Changes between snapshots, as fractions of the volume. */
  changes: readonly number[];
  /** For incremental archives: days between two snapshots (default: 1), and points of a chain (default: not limited). */
  days?: number;
  baseEvery?: number | null;
  /** The compression ratios; each has its own table. */
  compressions: readonly number[];
  region: string;
}

export interface Comparison {
  format: 1;
  /** A description of the prices. */
  prices: string;
  /** A note about the prices, e.g. that they are estimated; otherwise `null`. */
  note: string | null;
  currency: string;
  tables: ComparedTable[];
}

export interface ComparedTable {
  input: CompareInput;
  rows: CompareRow[];
  /** The break-even points, in the order of the options. */
  breakEven: { id: string; forThese: BreakEven; forMany: BreakEven }[];
}

export const CHANGES = [0, 1, 2, 3, 4, 5, 10, 15, 20, 30, 40, 50, 75, 100].map((percent) => percent / 100);

const full = { form: 'full', isCompressed: true } as const;

/** The options that version 0 compared, at the prices of 2017. */
const OPTIONS_OF_2017: readonly CompareOption[] = [
  { ...full, id: 'STANDARD', name: 'S3 Std', gbMonth: 0.023 },
  { ...full, id: 'STANDARD_IA', name: 'S3 IA', gbMonth: 0.0125 },
  { ...full, id: 'GLACIER', name: 'Glacier', gbMonth: 0.004 },
];

export const compareIn2017 = (settings: CompareSettings): Comparison => ({
  format: 1,
  prices:
    'prices of 2017 per GB-month: EBS snapshots $0.05, S3 Standard $0.023, Infrequent Access $0.0125, Glacier $0.004',
  note: null,
  currency: 'USD',
  tables: tablesOf(settings, 0.05, OPTIONS_OF_2017),
});

export function compareToday(settings: CompareSettings, all: Prices): Comparison {
  const prices = pricesIn(settings.region, all);
  return {
    format: 1,
    prices: `prices of ${settings.region}: ${all.note}`,
    note: noteOn(prices, ['snapshot', 'archive', 's3']),
    currency: prices.currency,
    tables: tablesOf(settings, prices.snapshot.gbMonth, optionsIn(prices)),
  };
}

const NAMES: Record<string, string> = {
  STANDARD: 'S3 Std',
  STANDARD_IA: 'S3 IA',
  GLACIER_IR: 'Glacier IR',
  GLACIER: 'Glacier',
  DEEP_ARCHIVE: 'Deep Archive',
};

/** Full archives in each storage class, the archive tier of EBS, and incremental archives. */
function optionsIn({ snapshot, s3 }: RegionPrices): CompareOption[] {
  const classes = Object.entries(NAMES).map(([id, name]) => ({ ...full, id, name, gbMonth: s3[id]?.gbMonth ?? 0 }));
  const deep = classes.at(-1) as CompareOption;
  const tier = { id: 'ebs-archive', name: 'EBS archive', gbMonth: snapshot.archiveGbMonth, isCompressed: false };
  const changes = { ...deep, id: 'DEEP_ARCHIVE-incremental', name: 'Deep Archive incr.', form: 'incremental' } as const;
  return [...classes, { ...tier, form: 'full' }, changes];
}

function tablesOf(
  settings: CompareSettings,
  snapshotGbMonth: number,
  options: readonly CompareOption[],
): ComparedTable[] {
  return settings.compressions.map((compression) => {
    const { snapshots, sizeGiB, days = 1, baseEvery = null } = settings;
    const input = { snapshots, sizeGiB, days, baseEvery, compression, snapshotGbMonth, options };
    return {
      input,
      rows: settings.changes.map((change) => compareAt(change, input)),
      breakEven: options.map((option) => ({
        id: option.id,
        forThese: breakEvenAt(option, input),
        forMany: breakEvenForMany(option, input),
      })),
    };
  });
}
