/** What a migration would do, as far as it can be told without doing anything. */
import { formatStartTime, keyStem } from '../archive/key.ts';
import type { Snapshot } from '../cloud/ports.ts';
import { S3_CLASS, SNAPSHOT_GB_MONTH, STANDARD_THOUSAND_PUTS } from '../costs/prices.ts';
import { readingCost } from '../costs/reading.ts';
import type { SnapshotPlan } from '../events.ts';
import { GiB } from '../lib/units.ts';
import { partSize } from '../transfer/part-plan.ts';
import type { MigrateSettings } from './settings.ts';

/** At list prices of us-east-1, for data that does not compress: the upper bound. */
export function planSnapshot(snapshot: Snapshot, settings: MigrateSettings, bucket: string): SnapshotPlan {
  const data = snapshot.dataBytes ?? snapshot.sizeGiB * GiB;
  const reading = readingCost({ ...snapshot, dataBytes: data }, settings.volumeType);
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
    cost: {
      temporaryVolume: reading.volume,
      directReads: reading.direct,
      requests: requestCost(data, settings.storageClass),
      storageMonth: monthly(S3_CLASS[settings.storageClass]?.gbMonth, data),
      now: monthly(SNAPSHOT_GB_MONTH, data),
    },
  };
}

function requestCost(bytes: number, storageClass: string): number | null {
  const price = S3_CLASS[storageClass]?.thousandPuts;
  return price === undefined ? null : ((bytes / partSize(1, bytes)) * STANDARD_THOUSAND_PUTS + 3 * price) / 1000;
}

const monthly = (price: number | undefined, bytes: number): number | null =>
  price === undefined ? null : (price * bytes) / GiB;
