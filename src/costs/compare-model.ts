/**
 * What archives cost as a part of what snapshots cost, for a volume that changes so much between snapshots.
 *
 * Runs in the page as well as here: no imports, and nothing but what JSON can hold. Percentages are fractions of 1.
 */

export interface CompareInput {
  /** Kept of the volume. */
  snapshots: number;
  /** Of the volume, which is taken to be full. */
  sizeGiB: number;
  /** Plain bytes for each stored one. */
  compression: number;
  /** A GB-month of snapshots in the standard tier. */
  snapshotGbMonth: number;
  options: readonly CompareOption[];
}

export interface CompareOption {
  id: string;
  name: string;
  gbMonth: number;
  /** Whether each archive holds the whole disk, or the first does and the others what changed. */
  form: 'full' | 'incremental';
  isCompressed: boolean;
}

export interface CompareRow {
  /** Between two snapshots, of the volume's size. */
  change: number;
  /** Money a month for the snapshots. */
  snapshots: number;
  /** In the order of the options. */
  costs: { id: string; monthly: number; ofSnapshots: number }[];
}

/** GiB of a full copy, and of what changed each time after. */
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

/** `always`: cheaper whatever changes; `never`: dearer even if everything does. */
export type BreakEven = number | 'always' | 'never';

/** The change between snapshots above which an option is cheaper, for so many snapshots. */
export function breakEvenAt(option: CompareOption, input: CompareInput): BreakEven {
  const { snapshots, compression, snapshotGbMonth } = input;
  const ratio = option.gbMonth / (option.isCompressed ? compression : 1) / snapshotGbMonth;
  if (option.form === 'incremental' || snapshots === 1) return ratio < 1 ? 'always' : 'never';
  return between((snapshots * ratio - 1) / (snapshots - 1));
}

/** The same in the limit of many snapshots. */
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
 * `1.0222` → `102%`, `0.078` → `7.8%`, `5.52` → `550%`. Two digits tell enough but in two cases, which get a third: what
 * is beside 100 %, and what lies half-way between the two.
 */
export function formatPercent(fraction: number): string {
  const percent = Number((fraction * 100).toPrecision(12));
  const two = Number(percent.toPrecision(2));
  const three = Number(percent.toPrecision(3));
  const isHalfWay = three === percent && percent.toPrecision(3).replace('.', '').endsWith('5');
  if (two !== three && (two === 100 || isHalfWay)) return `${three}%`;
  return percent > 0 && percent < 10 ? `${percent.toPrecision(2)}%` : `${two}%`;
}
