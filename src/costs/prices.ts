/**
 * The prices of AWS for storage, requests and retrieval, by region. Amounts are in the currency of the prices; a GB is 2^30
 * bytes, as AWS bills it; prices of requests are per thousand.
 */
import { GiB } from '../lib/units.ts';
import { BUILT_IN } from './built-in-prices.ts';
import type { PriceGroup, PriceSource, Prices, RegionPrices } from './price-types.ts';

/** Minimum number of days that are billed. Sources: "Amazon S3 storage classes", "Archive Amazon EBS snapshots". */
export const MINIMUM_DAYS: Readonly<Record<string, number>> = {
  STANDARD_IA: 30,
  ONEZONE_IA: 30,
  GLACIER_IR: 90,
  GLACIER: 90,
  DEEP_ARCHIVE: 180,
};
export const ARCHIVE_TIER_MINIMUM_DAYS = 90;

/** Additional bytes that are billed per object in an archive class: for its index, and in Standard for its name. */
export const ARCHIVE_OVERHEAD = { bytes: 32 * 1024, standardBytes: 8 * 1024 };

export const HOURS_A_MONTH = 730;
export const DAYS_A_MONTH = 365 / 12;

/** @returns the monthly price of storing an object; `null` if the price of its storage class is not known. */
export function storageMonth(
  { bytes, storageClass }: { bytes: number; storageClass: string },
  { s3 }: Pick<RegionPrices, 's3'>,
): number | null {
  const price = s3[storageClass]?.gbMonth;
  return price === undefined ? null : (price * bytes) / GiB;
}

const FALLBACK = 'us-east-1';

/** @returns the prices of the region; for an unknown region those of us-east-1, which `sources` shows. */
export function pricesIn(region: string, { regions }: Prices = BUILT_IN): RegionPrices {
  const found = regions[region];
  if (found) return found;
  const instead = regions[FALLBACK] ?? (BUILT_IN.regions[FALLBACK] as RegionPrices);
  const sources = Object.fromEntries(Object.keys(instead.sources).map((group) => [group, 'other-region']));
  return { ...instead, region, sources: sources as Record<PriceGroup, PriceSource> };
}

const NAMES: Record<PriceGroup, string> = {
  snapshot: 'snapshots',
  archive: 'the archive tier',
  direct: 'the EBS direct APIs',
  volumes: 'volumes',
  s3: 'S3',
  retrieval: 'retrieval',
};

const ALL_GROUPS = Object.keys(NAMES) as PriceGroup[];

/**
 * A note about prices that are not list prices of AWS for this region; `null` if all are.
 * @param groups the groups of prices that are used.
 */
export function noteOn({ region, sources }: RegionPrices, groups: readonly PriceGroup[] = ALL_GROUPS): string | null {
  const of = (...wanted: PriceSource[]) =>
    groups.filter((group) => wanted.includes(sources[group])).map((group) => NAMES[group]);
  if (of('other-region').length > 0) return `prices of ${region} are not known; those of ${FALLBACK} are used`;
  const parts = [
    ...describe('estimated from similar regions', of('estimated')),
    ...describe('transcribed from a web page that is some years old', of('transcribed')),
  ];
  return parts.length === 0 ? null : `prices of ${region}: ${parts.join('; ')}`;
}

const describe = (how: string, names: readonly string[]): string[] =>
  names.length === 0 ? [] : [`those of ${names.join(', ')} are ${how}`];
