/** The costs to come of a volume that gets further snapshots. */
import type { ChangeRate, Outlook } from '../analysis.ts';
import { DAYS_A_MONTH } from '../prices.ts';
import { MAX_POINT_GIB } from './chain-rules.ts';
import { generationsOf } from './points.ts';
import type { Target } from './targets.ts';

interface OutlookOptions {
  targets: readonly Target[];
  keepMonths: number;
  /** Cost per GiB and month of snapshots. */
  gbMonth: number;
}

/** If the distance of snapshots is not known, they are assumed to be daily. */
const ASSUMED_DAYS = 1;

/** More snapshots are not shown: EBS allows 100,000 in a region. */
const MAX_SNAPSHOTS = 100_000;

/** @param full the size of all data, in GiB. */
export function outlookOf(
  full: number,
  rate: ChangeRate,
  { targets, keepMonths, gbMonth }: OutlookOptions,
): Outlook | null {
  const deep = targets.find(({ storageClass }) => storageClass === 'DEEP_ARCHIVE');
  if (!deep?.movePoints || full > MAX_POINT_GIB) return null;
  const days = rate.days ?? ASSUMED_DAYS;
  const snapshots = Math.min(MAX_SNAPSHOTS, Math.max(1, Math.round((keepMonths * DAYS_A_MONTH) / days)));
  const added = (full * rate.percent) / 100;
  const points = Array.from({ length: snapshots }, (_, at) => ({
    startedAt: new Date(at * days * 86_400_000).toISOString(),
    added,
    full,
  }));
  const volumeGiB = full;
  return {
    ...{ months: keepMonths, snapshots, days },
    ebs: (full + (snapshots - 1) * added) * gbMonth,
    full: deep.move({ snapshots, gib: snapshots * full, volumeGiB }).monthly,
    incremental: deep.movePoints({ generations: generationsOf(points), volumeGiB }).monthly,
  };
}
