/**
 * The cost of archives relative to the cost of snapshots, depending on the change between snapshots.
 *
 * This module also runs in the HTML page, so it uses only JSON values. Percentages are fractions of 1.
 */
import { CHAIN_RULES } from './archiving/chain-rules.ts';

export interface CompareInput {
  /** Number of snapshots of the volume. */
  snapshots: number;
  /** Size of the volume, all of which is in use. */
  sizeGiB: number;
  /** Days between two snapshots, for the age of the bases of incremental archives. */
  days: number;
  /** Number of points of a chain of incremental archives; `null` if it is not limited. */
  baseEvery: number | null;
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
  /** `incremental`: only bases are full, and the archives between them contain the changes. */
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

/** GiB of full copies and of the changes between them. */
const changesGiB = ({ snapshots, sizeGiB }: CompareInput, fullCopies: number, change: number): number =>
  sizeGiB * (fullCopies + (snapshots - fullCopies) * change);

/** @returns the number of bases among the archives of the snapshots, by the rules of `migrate --incremental`. */
export function basesAmong({ snapshots, days, baseEvery }: BaseInput, change: number): number {
  const { maxDeltas, maxBaseDays } = CHAIN_RULES;
  const bySize = change > 0 ? Math.floor((maxDeltas / change) * ALMOST) + 2 : Number.POSITIVE_INFINITY;
  const byAge = Math.floor((maxBaseDays / days) * ALMOST) + 1;
  return Math.ceil(snapshots / Math.min(bySize, byAge, baseEvery ?? Number.POSITIVE_INFINITY));
}

type BaseInput = Pick<CompareInput, 'snapshots' | 'days' | 'baseEvery'>;

/** Rounding errors must not exceed a limit. */
const ALMOST = 1 + 1e-9;

function storedGiB(option: CompareOption, input: CompareInput, change: number): number {
  const fullCopies = option.form === 'full' ? input.snapshots : basesAmong(input, change);
  const plain = changesGiB(input, fullCopies, change);
  return option.isCompressed ? plain / input.compression : plain;
}

export function compareAt(change: number, input: CompareInput): CompareRow {
  const snapshots = changesGiB(input, 1, change) * input.snapshotGbMonth;
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
  if (snapshots === 1) return ratio < 1 ? 'always' : 'never';
  if (option.form === 'incremental') return amongSteps(option, input);
  return between((snapshots * ratio - 1) / (snapshots - 1));
}

/** The same for an infinite number of snapshots. */
export function breakEvenForMany(option: CompareOption, input: CompareInput): BreakEven {
  if (option.form === 'incremental') return amongSteps(option, { ...input, snapshots: MANY });
  return between(option.gbMonth / (option.isCompressed ? input.compression : 1) / input.snapshotGbMonth);
}

const MANY = 1_000_000;
const STEPS = 1000;

/** The cost of incremental archives rises in steps, with each further base, so that changes are tried one by one. */
function amongSteps(option: CompareOption, input: CompareInput): BreakEven {
  const isCheaper = (change: number) =>
    (compareAt(change, { ...input, options: [option] }).costs[0]?.ofSnapshots ?? 1) < 1;
  let lowest = STEPS + 1;
  while (lowest > 0 && isCheaper((lowest - 1) / STEPS)) lowest--;
  if (lowest === 0) return 'always';
  return lowest > STEPS ? 'never' : bisected((lowest - 1) / STEPS, lowest / STEPS, isCheaper);
}

const HALVINGS = 30;

/** @param above a change at which the option is cheaper, unlike at `below`. */
function bisected(below: number, above: number, isCheaper: (change: number) => boolean): number {
  let [low, high] = [below, above];
  for (let halving = 0; halving < HALVINGS; halving++) {
    const middle = (low + high) / 2;
    if (isCheaper(middle)) high = middle;
    else low = middle;
  }
  return high;
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
