/** Writes hourly billing reports of any size as legacy CSV. Snapshots are billed in the hour before midnight. */
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

export interface BillSize {
  rows: number;
  snapshots: number;
}

const HEADER = [
  'identity/LineItemId,identity/TimeInterval,bill/PayerAccountId,bill/BillingPeriodStartDate,lineItem/UsageAccountId',
  'lineItem/LineItemType,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/ProductCode,lineItem/UsageType',
  'lineItem/Operation,lineItem/AvailabilityZone,lineItem/ResourceId,lineItem/UsageAmount,lineItem/CurrencyCode',
  'lineItem/UnblendedRate,lineItem/UnblendedCost,lineItem/LineItemDescription,product/region,resourceTags/user:Name',
].join(',');

const DAYS = 30;

/** @returns the number of uncompressed bytes. */
export async function writeLargeBill(path: string, size: BillSize): Promise<number> {
  let bytes = 0;
  const counted = function* () {
    for (const text of piecesOf(size)) {
      const piece = Buffer.from(text);
      bytes += piece.length;
      yield piece;
    }
  };
  await pipeline(Readable.from(counted()), createGzip({ level: 1 }), createWriteStream(path));
  return bytes;
}

function* piecesOf({ rows, snapshots }: BillSize): Generator<string> {
  yield `${HEADER}\n`;
  const others = Math.max(1, Math.round((rows - snapshots * DAYS) / (DAYS * 24)));
  const id = (number: number) => number.toString(16).padStart(17, '0');
  const otherEnds = Array.from({ length: others }, (_, number) => {
    const resource = number % 3 === 0 ? `vol-${id(number)}` : `i-${id(number)}`;
    const description = number % 4 === 0 ? '"$0.096 per hour, Linux"' : '$0.096 per hour';
    return `AmazonEC2,USW2-BoxUsage:m5.large,RunInstances,us-west-2a,${resource},1.0000000000,USD,0.0960000000,0.0960000000,${description},us-west-2,web ${number % 97}\n`;
  });
  const snapshotEnds = Array.from({ length: snapshots }, (_, number) => {
    const resource = `arn:aws:ec2:us-west-2:123456789012:snapshot/snap-${id(number)}`;
    const amount = (((number % 4000) + 1) / 2048 / DAYS).toFixed(10);
    return `AmazonEC2,USW2-EBS:SnapshotUsage,CreateSnapshot,,${resource},${amount},USD,0.0500000000,0.0000185547,$0.05 per GB-Month of snapshot data stored,us-west-2,\n`;
  });
  for (let hour = 0; hour < DAYS * 24; hour++) {
    const start = beginningOf(hour);
    yield* inPieces(otherEnds, start);
    if (hour % 24 === 23) yield* inPieces(snapshotEnds, start);
  }
}

function* inPieces(ends: readonly string[], start: string): Generator<string> {
  for (let from = 0; from < ends.length; from += 1000) {
    let text = '';
    for (const end of ends.slice(from, from + 1000)) text += start + end;
    yield text;
  }
}

/** Returns the part of a row before the resource and its costs, which depends only on the hour. */
function beginningOf(hour: number): string {
  const at = (ahead: number) => `${new Date(Date.UTC(2026, 8, 1, hour + ahead)).toISOString().slice(0, 19)}Z`;
  return `qwertyuiopasdfghjklzxcvbnm${hour},${at(0)}/${at(1)},123456789012,2026-09-01T00:00:00Z,123456789012,Usage,${at(0)},${at(1)},`;
}
