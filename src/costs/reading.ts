/** The cost of reading a snapshot, from a temporary volume or through the EBS direct APIs. */
import type { ReadingCost } from '../events.ts';
import { BLOCKS_PER_PAGE } from '../lib/aws-limits.ts';
import { GiB, MiB } from '../lib/units.ts';
import type { RegionPrices } from './price-types.ts';
import { HOURS_A_MONTH } from './prices.ts';

/** Bytes of a block of the EBS direct APIs. */
const BLOCK = 512 * 1024;

/** Bytes per second from a new volume, whose blocks EBS loads lazily from the snapshot. The rate is an observation. */
const LAZY_RATE = 3.5 * MiB;

interface Data {
  sizeGiB: number;
  /** `null` if EBS does not report it. */
  dataBytes: number | null;
}

/** The costs in the currency of the prices. */
export const readingCost = (snapshot: Data, volumeType: string, prices: RegionPrices): ReadingCost => ({
  volume: volumeCost(snapshot, volumeType, prices),
  direct: snapshot.dataBytes === null ? null : directCost(snapshot.dataBytes, prices),
});

/** The requests for blocks, and for pages of their list. */
const directCost = (bytes: number, { direct }: RegionPrices): number =>
  ((bytes / BLOCK) * (direct.thousandReads + direct.thousandLists / BLOCKS_PER_PAGE)) / 1000;

/** If the amount of data is unknown, the whole disk is assumed. */
function volumeCost({ sizeGiB, dataBytes }: Data, type: string, { volumes }: RegionPrices): number | null {
  const price = volumes[type];
  const hours = (dataBytes ?? sizeGiB * GiB) / LAZY_RATE / 3600;
  return price === undefined ? null : (price * sizeGiB * hours) / HOURS_A_MONTH;
}
