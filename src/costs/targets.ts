/** The places to which snapshots can be moved, with the monthly cost, the one-time cost, and the cost of restoring. */
import type { Assumptions, Choice } from './analysis.ts';
import type { Range } from './lineage.ts';
import type { ClassPrices, RegionPrices } from './price-types.ts';
import { ARCHIVE_OVERHEAD, ARCHIVE_TIER_MINIMUM_DAYS, DAYS_A_MONTH, MINIMUM_DAYS } from './prices.ts';
import { readingCost } from './reading.ts';

/** The snapshots to move. Sizes are GiB of plain data. */
export interface Load {
  snapshots: number;
  gib: number;
  /** Size of the volume of the snapshots, for the cost of temporary volumes. */
  volumeGiB: number;
}

export interface MoveOptions {
  /** Plain bytes per stored byte. */
  compression: number;
  reading: Assumptions['reading'];
}

export interface Move {
  storedGiB: number;
  monthly: number;
  oneOff: number;
  minimumDays: number;
  restore: Choice['restore'];
}

export interface Target {
  what: 'ebs-archive' | 's3';
  storageClass: string | null;
  move(load: Load): Move;
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
});

const s3Target = (storageClass: string, of: ClassPrices, prices: RegionPrices, options: MoveOptions): Target => ({
  what: 's3',
  storageClass,
  move: (load) => {
    const storedGiB = load.gib / options.compression;
    return {
      storedGiB,
      monthly: storedGiB * of.gbMonth + overheadMonthly(load.snapshots, of, prices),
      oneOff: readingOf(load, prices, options) + requestsOf(storedGiB, load.snapshots, of, prices),
      minimumDays: MINIMUM_DAYS[storageClass] ?? 0,
      restore: restoreOf(storedGiB, load, of, prices),
    };
  },
});

const GIB = 2 ** 30;
const MIB = 2 ** 20;

/** Objects per archive: the data, the index and the manifest. */
const OBJECTS = 3;

const isArchived = ({ retrieval }: ClassPrices): boolean => retrieval.length > 0;

const standardOf = ({ s3 }: RegionPrices): ClassPrices => s3['STANDARD'] as ClassPrices;

function overheadMonthly(snapshots: number, of: ClassPrices, prices: RegionPrices): number {
  if (!isArchived(of)) return 0;
  const { bytes, standardBytes } = ARCHIVE_OVERHEAD;
  return (snapshots * OBJECTS * (bytes * of.gbMonth + standardBytes * standardOf(prices).gbMonth)) / GIB;
}

function readingOf({ gib, snapshots, volumeGiB }: Load, prices: RegionPrices, { reading }: MoveOptions): number {
  const type = reading === 'direct' ? '' : reading.volumeType;
  const one = { sizeGiB: volumeGiB, dataBytes: (gib / snapshots) * GIB };
  const { volume, direct } = readingCost(one, type, prices);
  return (volume ?? direct ?? 0) * snapshots;
}

/**
 * An upper bound: parts have at least 8 MiB, and an object has at most 10,000. Parts of objects in archive classes are billed
 * as Standard.
 */
function requestsOf(storedGiB: number, snapshots: number, of: ClassPrices, prices: RegionPrices): number {
  const parts = Math.min((storedGiB * GIB) / (8 * MIB), snapshots * 10_000);
  const partPrice = isArchived(of) ? standardOf(prices).thousandPuts : of.thousandPuts;
  return (parts * partPrice + snapshots * OBJECTS * of.thousandPuts) / 1000;
}

/** Days for which a thawed copy is kept. */
const COPY_DAYS = 3;

const BLOCKS_PER_GIB = 2048;

/** Assumes the cheapest retrieval tier, ranges of 8 MiB, and writing new snapshots through the EBS direct APIs. */
function restoreOf(
  storedGiB: number,
  { gib, snapshots }: Load,
  of: ClassPrices,
  prices: RegionPrices,
): Choice['restore'] {
  const [tier] = of.retrieval;
  const copy = tier ? (storedGiB * standardOf(prices).gbMonth * COPY_DAYS) / DAYS_A_MONTH : 0;
  const retrieval = storedGiB * (tier?.gb ?? of.readGb) + (snapshots * OBJECTS * (tier?.thousandRequests ?? 0)) / 1000;
  const reads = ((storedGiB * GIB) / (8 * MIB)) * (of.thousandGets / 1000);
  const writes = (gib * BLOCKS_PER_GIB * prices.direct.thousandWrites) / 1000;
  return { cost: copy + retrieval + reads + writes, takes: tier?.takes ?? 'immediate' };
}

/** The costs of a target for the bounds of a size. */
export const moveBetween = (target: Target, load: Omit<Load, 'gib'>, gib: Range): { min: Move; max: Move } => ({
  min: target.move({ ...load, gib: gib.min }),
  max: target.move({ ...load, gib: gib.max }),
});
