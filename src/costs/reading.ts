/** What it costs to read a snapshot, either way, at list prices of us-east-1. */
import type { ReadingCost } from '../events.ts';
import { GiB, MiB } from '../lib/units.ts';
import { DIRECT_READS, HOURS_A_MONTH, VOLUME_GB_MONTH } from './prices.ts';

/** A block of the EBS direct APIs. */
const BLOCK = 512 * 1024;

/** A volume fresh from a snapshot loads lazily; bytes a second seen in practice. */
const LAZY_RATE = 3.5 * MiB;

interface Data {
  sizeGiB: number;
  /** Bytes; `null` where EBS does not tell. */
  dataBytes: number | null;
}

export const readingCost = (snapshot: Data, volumeType: string): ReadingCost => ({
  volume: volumeCost(snapshot, volumeType),
  direct: snapshot.dataBytes === null ? null : ((snapshot.dataBytes / BLOCK) * DIRECT_READS.thousandBlocks) / 1000,
});

/** Where the amount of data is not known, the disk may be full. */
function volumeCost({ sizeGiB, dataBytes }: Data, type: string): number | null {
  const price = VOLUME_GB_MONTH[type];
  const hours = (dataBytes ?? sizeGiB * GiB) / LAZY_RATE / 3600;
  return price === undefined ? null : (price * sizeGiB * hours) / HOURS_A_MONTH;
}
