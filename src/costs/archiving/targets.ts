/** The places to which snapshots can be moved, with the monthly cost, the one-time cost, and the cost of restoring. */
import { GiB } from '../../lib/units.ts';
import type { Choice } from '../analysis.ts';
import type { Range } from '../lineage.ts';
import type { ClassPrices, RegionPrices } from '../price-types.ts';
import { ARCHIVE_TIER_MINIMUM_DAYS, MINIMUM_DAYS } from '../prices.ts';
import { readingCost } from '../reading.ts';
import {
  type Move,
  type MoveOptions,
  overheadMonthly,
  partsCost,
  partsOf,
  retrievalCost,
  retrievalTakes,
  writingBackCost,
} from './moves.ts';
import { moveOfPoints, type PointsLoad } from './points.ts';

/** The snapshots to move. Sizes are GiB of plain data. */
export interface Load {
  snapshots: number;
  gib: number;
  /** Size of the volume of the snapshots, for the cost of temporary volumes. */
  volumeGiB: number;
}

export interface Target {
  what: 'ebs-archive' | 's3';
  storageClass: string | null;
  move(load: Load): Move;
  /** `null` for the archive tier, which stores complete copies. */
  movePoints: ((load: PointsLoad) => Move) | null;
}

/** The storage classes that are evaluated. */
export const WEIGHED_CLASSES = ['STANDARD', 'STANDARD_IA', 'GLACIER_IR', 'GLACIER', 'DEEP_ARCHIVE'] as const;

export function targetsIn(prices: RegionPrices, classes: readonly string[], options: MoveOptions): Target[] {
  const s3 = classes.flatMap((storageClass) => {
    const found = prices.s3[storageClass];
    return found ? [s3Target(storageClass, found, prices, options)] : [];
  });
  return [archiveTier(prices), ...s3];
}

/** Full copies without compression, moved by AWS. Source: "Archive Amazon EBS snapshots" in the EBS user guide. */
const archiveTier = ({ snapshot }: RegionPrices): Target => ({
  what: 'ebs-archive',
  storageClass: null,
  move: ({ gib }) => ({
    storedGiB: gib,
    monthly: gib * snapshot.archiveGbMonth,
    oneOff: 0,
    minimumDays: ARCHIVE_TIER_MINIMUM_DAYS,
    restore: { cost: gib * snapshot.archiveRetrievalGb, takes: 'up to 72 hours' },
  }),
  movePoints: null,
});

const s3Target = (storageClass: string, of: ClassPrices, prices: RegionPrices, options: MoveOptions): Target => ({
  what: 's3',
  storageClass,
  move: (load) => {
    const storedGiB = load.gib / options.compression;
    return {
      storedGiB,
      monthly: storedGiB * of.gbMonth + overheadMonthly(load.snapshots * OBJECTS, of, prices),
      oneOff: readingOf(load, prices, options) + requestsOf(storedGiB, load.snapshots, of, prices),
      minimumDays: MINIMUM_DAYS[storageClass] ?? 0,
      restore: restoreOf(storedGiB, load, of, prices),
    };
  },
  movePoints: (load) => ({ ...moveOfPoints(load, of, prices, options), minimumDays: MINIMUM_DAYS[storageClass] ?? 0 }),
});

/** Objects per archive: the data, the index and the manifest. */
const OBJECTS = 3;

function readingOf({ gib, snapshots, volumeGiB }: Load, prices: RegionPrices, { reading }: MoveOptions): number {
  const type = reading === 'direct' ? '' : reading.volumeType;
  const one = { sizeGiB: volumeGiB, dataBytes: (gib / snapshots) * GiB };
  const { volume, direct } = readingCost(one, type, prices);
  return (volume ?? direct ?? 0) * snapshots;
}

/** An upper bound: an object has at most 10,000 parts. */
function requestsOf(storedGiB: number, snapshots: number, of: ClassPrices, prices: RegionPrices): number {
  const parts = Math.min(partsOf(storedGiB), snapshots * 10_000);
  return partsCost(parts, of, prices) + (snapshots * OBJECTS * of.thousandPuts) / 1000;
}

const restoreOf = (
  storedGiB: number,
  { gib, snapshots }: Load,
  of: ClassPrices,
  prices: RegionPrices,
): Choice['restore'] => ({
  cost: retrievalCost(storedGiB, snapshots * OBJECTS, of, prices) + writingBackCost(storedGiB, gib, of, prices),
  takes: retrievalTakes(of),
});

export interface MoveRange {
  min: Move;
  max: Move;
}

/** The costs of a target for the bounds of a size. */
export const moveBetween = (target: Target, load: Omit<Load, 'gib'>, gib: Range): MoveRange => ({
  min: target.move({ ...load, gib: gib.min }),
  max: target.move({ ...load, gib: gib.max }),
});
