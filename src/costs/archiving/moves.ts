/** What moving snapshots to S3 costs, as far as complete and incremental archives have it in common. */
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import { GiB, MiB } from '../../lib/units.ts';
import type { Assumptions, Choice } from '../analysis.ts';
import type { ClassPrices, RegionPrices } from '../price-types.ts';
import { ARCHIVE_OVERHEAD, DAYS_A_MONTH } from '../prices.ts';

export interface Move {
  storedGiB: number;
  monthly: number;
  oneOff: number;
  minimumDays: number;
  restore: Choice['restore'];
  /** Only of incremental archives. */
  chain?: Choice['chain'];
}

export interface MoveOptions {
  /** Plain bytes per stored byte. */
  compression: number;
  reading: Assumptions['reading'];
}

export const BLOCKS_PER_GIB = GiB / BLOCK_BYTES;

const isArchived = ({ retrieval }: ClassPrices): boolean => retrieval.length > 0;

export const standardOf = ({ s3 }: RegionPrices): ClassPrices => s3['STANDARD'] as ClassPrices;

/** The monthly cost of the bytes that S3 adds to each object in an archive class. */
export function overheadMonthly(objects: number, of: ClassPrices, prices: RegionPrices): number {
  if (!isArchived(of)) return 0;
  const { bytes, standardBytes } = ARCHIVE_OVERHEAD;
  return (objects * (bytes * of.gbMonth + standardBytes * standardOf(prices).gbMonth)) / GiB;
}

/** Parts have at least 8 MiB. Those of objects in archive classes are billed as Standard. */
export function partsCost(parts: number, of: ClassPrices, prices: RegionPrices): number {
  const price = isArchived(of) ? standardOf(prices).thousandPuts : of.thousandPuts;
  return (parts * price) / 1000;
}

/** The largest number of parts of this size. */
export const partsOf = (gib: number): number => (gib * GiB) / (8 * MiB);

/** Days for which a thawed copy is kept. */
const COPY_DAYS = 3;

/** The cheapest retrieval of everything that is stored, and the thawed copy. */
export function retrievalCost(storedGiB: number, objects: number, of: ClassPrices, prices: RegionPrices): number {
  const [tier] = of.retrieval;
  const copy = tier ? (storedGiB * standardOf(prices).gbMonth * COPY_DAYS) / DAYS_A_MONTH : 0;
  return copy + storedGiB * (tier?.gb ?? of.readGb) + (objects * (tier?.thousandRequests ?? 0)) / 1000;
}

/** Assumes ranges of 8 MiB, and writing new snapshots of `gib` through the EBS direct APIs. */
export function writingBackCost(readGiB: number, gib: number, of: ClassPrices, prices: RegionPrices): number {
  const reads = partsOf(readGiB) * (of.thousandGets / 1000);
  return reads + (gib * BLOCKS_PER_GIB * prices.direct.thousandWrites) / 1000;
}

export const retrievalTakes = ({ retrieval: [tier] }: ClassPrices): string => tier?.takes ?? 'immediate';
