/** The S3 prices of the region of the bucket, which may be another one than that of the snapshots. */
import type { ArchiveStore } from '../../cloud/ports.ts';
import type { PriceGroup, RegionPrices } from '../../costs/price-types.ts';
import { noteOn, pricesIn } from '../../costs/prices.ts';
import { SnapError } from '../../errors.ts';
import type { Services } from './services.ts';

/** What is needed to find the prices of the bucket. */
export type BucketPlace = Pick<Services, 'region' | 'bucketRegion'>;

export interface BucketPrices {
  prices: RegionPrices;
  /** Whose prices these are; `null` if they are list prices of AWS for the region of the bucket. */
  note: string | null;
}

/**
 * If the region of the bucket is unknown, the prices are those of the region of the snapshots.
 * @param groups the groups of prices that are used.
 */
export async function bucketPrices(
  { region, bucketRegion }: BucketPlace,
  signal: AbortSignal,
  groups: readonly PriceGroup[] = ['s3'],
): Promise<BucketPrices> {
  const own = await bucketRegion({ signal });
  const prices = pricesIn(own ?? region);
  const unknown = own === null ? `the region of the bucket is unknown; S3 prices of ${region} are used` : null;
  const notes = [unknown, noteOn(prices, groups)].filter((note) => note !== null);
  return { prices, note: notes.length === 0 ? null : notes.join('; ') };
}

/** Finds the region of the bucket once. A call that failed is repeated by the next one. */
export function bucketRegionOf(store: Pick<ArchiveStore, 'check'>): Services['bucketRegion'] {
  let known: string | null | undefined;
  return async (call) => {
    if (known === undefined) known = await regionOf(store, call);
    return known;
  };
}

/** Only prices need the region, so a missing permission is no failure. */
async function regionOf(
  store: Pick<ArchiveStore, 'check'>,
  call: Parameters<ArchiveStore['check']>[0],
): Promise<string | null> {
  try {
    return (await store.check(call)).region;
  } catch (error) {
    if (error instanceof SnapError && error.code === 'ACCESS_DENIED') return null;
    throw error;
  }
}
