/** The plan of a migration, as far as it can be determined without changing anything. */
import { formatStartTime, keyStem } from '../../archive/key.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import type { RegionPrices } from '../../costs/price-types.ts';
import { pricesIn } from '../../costs/prices.ts';
import { readingCost } from '../../costs/reading.ts';
import type { ExistingArchive, SnapshotPlan } from '../../events.ts';
import { GiB } from '../../lib/units.ts';
import { partSize } from '../../transfer/part-plan.ts';
import type { BucketPrices } from '../shared/bucket-prices.ts';
import type { Services } from '../shared/services.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';

/** Computes costs at list prices, as upper bounds: for data that does not compress. @param s3 prices of the bucket */
export function planSnapshot(
  snapshot: Snapshot,
  existing: ExistingArchive | null,
  settings: MigrateSettings,
  { store: { bucket }, region }: Pick<Services, 'store' | 'region'>,
  s3: BucketPrices,
): SnapshotPlan {
  const prices = pricesIn(region);
  const data = snapshot.dataBytes ?? snapshot.sizeGiB * GiB;
  const reading = readingCost({ ...snapshot, dataBytes: data }, settings.volumeType, prices);
  return {
    snapshot: snapshot.id,
    volume: snapshot.volumeId,
    sizeGiB: snapshot.sizeGiB,
    startTime: formatStartTime(snapshot.startTime),
    keyStem: keyStem({
      prefix: settings.prefix,
      volumeId: snapshot.volumeId,
      startTime: snapshot.startTime,
      snapshotId: snapshot.id,
    }),
    bucket,
    storageClass: settings.storageClass,
    dataBytes: snapshot.dataBytes,
    existing,
    cost: {
      temporaryVolume: reading.volume,
      directReads: reading.direct,
      requests: requestCost(data, settings.storageClass, s3.prices),
      storageMonth: monthly(s3.prices.s3[settings.storageClass]?.gbMonth, data),
      now: monthly(prices.snapshot.gbMonth, data),
      note: s3.note,
    },
  };
}

/** Requests for parts have the price of Standard, also for objects in archive classes. */
function requestCost(bytes: number, storageClass: string, { s3 }: RegionPrices): number | null {
  const price = s3[storageClass]?.thousandPuts;
  const partPrice = s3['STANDARD']?.thousandPuts ?? 0;
  return price === undefined ? null : ((bytes / partSize(1, bytes)) * partPrice + 3 * price) / 1000;
}

const monthly = (price: number | undefined, bytes: number): number | null =>
  price === undefined ? null : (price * bytes) / GiB;
