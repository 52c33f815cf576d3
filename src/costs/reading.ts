/** What it costs to read a snapshot, either way. */
import type { ReadingCost } from '../events.ts';
import { GiB, MiB } from '../lib/units.ts';
import type { RegionPrices } from './price-types.ts';
import { HOURS_A_MONTH } from './prices.ts';

/** A block of the EBS direct APIs. */
const BLOCK = 512 * 1024;
const BLOCKS_A_PAGE = 10_000;

/** A volume fresh from a snapshot loads lazily; bytes a second seen in practice. */
const LAZY_RATE = 3.5 * MiB;

interface Data {
  sizeGiB: number;
  /** Bytes; `null` where EBS does not tell. */
  dataBytes: number | null;
}

/** In the currency of the prices. */
export const readingCost = (snapshot: Data, volumeType: string, prices: RegionPrices): ReadingCost => ({
  volume: volumeCost(snapshot, volumeType, prices),
  direct: snapshot.dataBytes === null ? null : directCost(snapshot.dataBytes, prices),
});

/** Blocks, and pages of their list. */
const directCost = (bytes: number, { direct }: RegionPrices): number =>
  ((bytes / BLOCK) * (direct.thousandReads + direct.thousandLists / BLOCKS_A_PAGE)) / 1000;

/** Where the amount of data is not known, the disk may be full. */
function volumeCost({ sizeGiB, dataBytes }: Data, type: string, { volumes }: RegionPrices): number | null {
  const price = volumes[type];
  const hours = (dataBytes ?? sizeGiB * GiB) / LAZY_RATE / 3600;
  return price === undefined ? null : (price * sizeGiB * hours) / HOURS_A_MONTH;
}
