/** How much changes between the snapshots of a volume: measured on their sizes where possible, otherwise assumed. */
import { isCopyVolume } from '../lib/aws-names.ts';
import { sum } from '../lib/sum.ts';
import { count } from '../lib/units.ts';
import type { Assumptions, ChangeRate, VolumeAnalysis } from './analysis.ts';

export const ASSUMED_CHANGE = { percent: 5, is: 'assumed' } as const;

type Measurable = Pick<VolumeAnalysis, 'id' | 'sizeGiB' | 'snapshots'>;

/** Snapshots in the archive tier are complete copies, so their sizes do not show changes. */
export function changeRateOf(
  { id, sizeGiB, snapshots }: Measurable,
  { change = ASSUMED_CHANGE }: Pick<Assumptions, 'change'>,
): ChangeRate {
  const unknown: ChangeRate = { ...change, measuredOn: 0, days: null };
  if (id === null || isCopyVolume(id)) return unknown;
  const standard = snapshots.filter(({ tier }) => tier === 'standard');
  const sizes = standard.slice(1).map(({ gib, fullGiB }) => ({ gib, full: fullGiB ?? sizeGiB ?? 0 }));
  const full = sum(sizes.map((size) => size.full));
  if (full === 0) return unknown;
  const percent = Math.min(100, (sum(sizes.map(({ gib }) => gib)) / full) * 100);
  return { percent, is: 'measured', measuredOn: sizes.length, days: daysBetween(standard) };
}

const DAY = 86_400_000;

/** The average distance of the snapshots in days; `null` if it is not known. */
function daysBetween(snapshots: Measurable['snapshots']): number | null {
  const [first, last] = [snapshots[0]?.startedAt, snapshots.at(-1)?.startedAt];
  if (!first || !last) return null;
  const days = (Date.parse(last) - Date.parse(first)) / DAY / (snapshots.length - 1);
  return days > 0 ? days : null;
}

/** For example `3.2% of the data changes between snapshots (measured on 15 snapshots)`. */
export function changeText({ percent, is, measuredOn }: ChangeRate): string {
  const how = is === 'measured' ? `measured on ${count(measuredOn, 'snapshot')}` : `${is}, not measured`;
  return `${Number(percent.toPrecision(2))}% of the data changes between snapshots (${how})`;
}
