/** What archives cost: their requests, from the call log of the lab, and their objects, from the listing of the bucket. */
import { type _Object, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3';
import type { LoggedCall } from '../../lab/core/context.ts';
import { parseGenerationKey, parseKey, parseSmallKey } from '../../src/archive/key.ts';
import type { ClassPrices } from '../../src/costs/price-types.ts';
import { ARCHIVE_OVERHEAD, pricesIn } from '../../src/costs/prices.ts';

const REGION = 'us-east-1';
const GiB = 2 ** 30;

const PRICES = pricesIn(REGION);

const classPrices = (name: string): ClassPrices => PRICES.s3[name] as ClassPrices;

const STANDARD = classPrices('STANDARD');

/** Requests by operation, and their price. */
export class Requests {
  readonly #counts = new Map<string, number>();
  #dollars = 0;

  get dollars(): number {
    return this.#dollars;
  }

  /** Counts only requests to S3 and to the EBS direct APIs. All others are free. */
  add(calls: readonly LoggedCall[], storageClass: string): void {
    for (const call of calls.filter(({ service }) => service === 's3' || service === 'ebs')) {
      this.#counts.set(call.operation, (this.#counts.get(call.operation) ?? 0) + 1);
      this.#dollars += priceOf(call, storageClass) / 1000;
    }
  }

  toString(): string {
    return [...this.#counts]
      .sort(([, a], [, b]) => b - a)
      .map(([operation, count]) => `${operation} ${count}`)
      .join(', ');
  }
}

const WRITES = /^(Put|Create|Upload|Complete|Copy)/;
const FREE = /^(Delete|Abort)/;

/** @returns the price of a thousand such requests. */
function priceOf({ service, operation, details }: LoggedCall, storageClass: string): number {
  const { direct } = PRICES;
  if (service === 'ebs') return operation === 'GetSnapshotBlock' ? direct.thousandReads : direct.thousandLists;
  if (FREE.test(operation)) return 0;
  if (operation.startsWith('List')) return STANDARD.thousandPuts;
  if (!WRITES.test(operation)) return STANDARD.thousandGets;
  return isData(details['key'] ?? '') ? classPrices(storageClass).thousandPuts : STANDARD.thousandPuts;
}

const isData = (key: string): boolean => ['data', 'pack'].includes(kindOf(key));

type Kind = 'pack' | 'blocks' | 'map' | 'manifest' | 'index' | 'data' | 'other';

const kindOf = (key: string): Kind =>
  (parseGenerationKey(key) ?? parseSmallKey(key))?.what ?? (parseKey(key) ? 'data' : 'other');

export interface Stored {
  bytes: number;
  kinds: ReadonlyMap<Kind, number>;
  /** The price of storage for a month. */
  dollarsMonth: number;
}

export async function storedIn(s3: S3Client, bucket: string): Promise<Stored> {
  const kinds = new Map<Kind, number>();
  let [bytes, dollarsMonth] = [0, 0];
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket: bucket })) {
    for (const object of Contents) {
      const { Key = '', Size = 0 } = object;
      kinds.set(kindOf(Key), (kinds.get(kindOf(Key)) ?? 0) + Size);
      bytes += Size;
      dollarsMonth += monthlyPrice(object);
    }
  }
  return { bytes, kinds, dollarsMonth };
}

function monthlyPrice({ Size = 0, StorageClass = 'STANDARD' }: _Object): number {
  const { gbMonth, retrieval } = classPrices(StorageClass);
  if (retrieval.length === 0) return (Size / GiB) * gbMonth;
  const { bytes, standardBytes } = ARCHIVE_OVERHEAD;
  return ((Size + bytes) / GiB) * gbMonth + (standardBytes / GiB) * STANDARD.gbMonth;
}

/** @param bytes of the blocks that the snapshots do not share. @returns the price of the snapshots for a month. */
export const snapshotsMonth = (bytes: number): number => (bytes / GiB) * PRICES.snapshot.gbMonth;
