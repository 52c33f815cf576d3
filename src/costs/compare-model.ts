/**
 * The cost of archives relative to the cost of snapshots, depending on the change between snapshots.
 *
 * This module also runs in the HTML page, so it has no imports and uses only JSON values. Percentages are fractions of 1.
 */

export interface CompareInput {
  /** Number of snapshots of the volume. */
  snapshots: number;
  /** Size of the volume, all of which is in use. */
  sizeGiB: number;
  /** Plain bytes per stored byte. */
  compression: number;
  /** Price per GB-month of snapshots in the standard tier. */
  snapshotGbMonth: number;
  options: readonly CompareOption[];
}

export interface CompareOption {
  id: string;
  name: string;
  gbMonth: number;
  /** `incremental`: only the first archive is full, and the others contain the changes. */
  form: 'full' | 'incremental';
  isCompressed: boolean;
}

export interface CompareRow {
  /** Fraction of the volume that changes between two snapshots. */
  change: number;
  /** Monthly cost of the snapshots. */
  snapshots: number;
  /** The costs, in the order of the options. */
  costs: { id: string; monthly: number; ofSnapshots: number }[];
}

/** GiB of one full copy and of all changes after it. */
const incrementalGiB = ({ snapshots, sizeGiB }: CompareInput, change: number): number =>
  sizeGiB * (1 + (snapshots - 1) * change);

function storedGiB(option: CompareOption, input: CompareInput, change: number): number {
  const plain = option.form === 'full' ? input.snapshots * input.sizeGiB : incrementalGiB(input, change);
  return option.isCompressed ? plain / input.compression : plain;
}

export function compareAt(change: number, input: CompareInput): CompareRow {
  const snapshots = incrementalGiB(input, change) * input.snapshotGbMonth;
  const costs = input.options.map((option) => {
    const monthly = storedGiB(option, input, change) * option.gbMonth;
    return { id: option.id, monthly, ofSnapshots: monthly / snapshots };
  });
  return { change, snapshots, costs };
}

/** `always`: cheaper for any change; `never`: more expensive even if everything changes. */
export type BreakEven = number | 'always' | 'never';

/** The change between snapshots above which an option is cheaper, for the number of snapshots in the input. */
export function breakEvenAt(option: CompareOption, input: CompareInput): BreakEven {
  const { snapshots, compression, snapshotGbMonth } = input;
  const ratio = option.gbMonth / (option.isCompressed ? compression : 1) / snapshotGbMonth;
  if (option.form === 'incremental' || snapshots === 1) return ratio < 1 ? 'always' : 'never';
  return between((snapshots * ratio - 1) / (snapshots - 1));
}

/** The same for an infinite number of snapshots. */
export function breakEvenForMany(option: CompareOption, { compression, snapshotGbMonth }: CompareInput): BreakEven {
  const ratio = option.gbMonth / (option.isCompressed ? compression : 1) / snapshotGbMonth;
  if (option.form === 'incremental') return ratio < 1 ? 'always' : 'never';
  return between(ratio);
}

function between(change: number): BreakEven {
  if (change < 0) return 'always';
  return change > 1 ? 'never' : change;
}

/**
 * `1.0222` → `102%`, `0.078` → `7.8%`, `5.52` → `550%`. Rounds to two significant digits, or to three if two would give
 * 100 % or if the value lies exactly half-way.
 */
export function formatPercent(fraction: number): string {
  const percent = Number((fraction * 100).toPrecision(12));
  const two = Number(percent.toPrecision(2));
  const three = Number(percent.toPrecision(3));
  const isHalfWay = three === percent && percent.toPrecision(3).replace('.', '').endsWith('5');
  if (two !== three && (two === 100 || isHalfWay)) return `${three}%`;
  return percent > 0 && percent < 10 ? `${percent.toPrecision(2)}%` : `${two}%`;
}
