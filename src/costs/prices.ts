/**
 * What AWS asks for storage, requests and retrieval, by region: the one source of prices of the program. Money is of
 * the currency of the prices; a GB is 2^30 bytes, as AWS bills it; prices of requests are for a thousand.
 */
import { BUILT_IN } from './built-in-prices.ts';
import type { PriceGroup, PriceSource, Prices, RegionPrices } from './price-types.ts';

/** Days that are billed at least. Sources: "Amazon S3 storage classes", "Archive Amazon EBS snapshots". */
export const MINIMUM_DAYS: Readonly<Record<string, number>> = {
  STANDARD_IA: 30,
  ONEZONE_IA: 30,
  GLACIER_IR: 90,
  GLACIER: 90,
  DEEP_ARCHIVE: 180,
};
export const ARCHIVE_TIER_MINIMUM_DAYS = 90;

/** Objects of the archive classes are billed for so much more: their index, and their name in Standard. */
export const ARCHIVE_OVERHEAD = { bytes: 32 * 1024, standardBytes: 8 * 1024 };

export const HOURS_A_MONTH = 730;
export const DAYS_A_MONTH = 365 / 12;

const FALLBACK = 'us-east-1';

/** @returns those of us-east-1 for regions that are not known, as `sources` then tells. */
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
 * What a reader has to know of the prices of a region; `null` where all are AWS's own.
 * @param groups that are made use of.
 */
export function noteOn({ region, sources }: RegionPrices, groups: readonly PriceGroup[] = ALL_GROUPS): string | null {
  const of = (...wanted: PriceSource[]) =>
    groups.filter((group) => wanted.includes(sources[group])).map((group) => NAMES[group]);
  if (of('other-region').length > 0) return `prices of ${region} are not known: those of ${FALLBACK} were used`;
  const parts = [
    ...told('estimated from regions alike', of('estimated')),
    ...told('copied from a page of some years ago', of('transcribed')),
  ];
  return parts.length === 0 ? null : `prices of ${region}: ${parts.join('; ')}`;
}

const told = (how: string, names: readonly string[]): string[] =>
  names.length === 0 ? [] : [`those of ${names.join(', ')} are ${how}`];
