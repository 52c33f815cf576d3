/** Objects in archive classes, which must be thawed before they can be read, and the prices of thawing them. */
import type { ArchiveStore, ObjectHead } from '../../cloud/ports.ts';
import type { RegionPrices, RetrievalTier } from '../../costs/price-types.ts';
import { DAYS_A_MONTH } from '../../costs/prices.ts';
import { SnapError } from '../../errors.ts';
import type { ThawOffer } from '../../events.ts';
import { inParallel } from '../../lib/parallel.ts';
import { count, formatBytes, formatDollars, GiB } from '../../lib/units.ts';
import { type BucketPlace, type BucketPrices, bucketPrices } from '../shared/bucket-prices.ts';
import type { Services } from '../shared/services.ts';
import { THAW_DAYS } from '../shared/settings/thaw.ts';

export interface ArchivedObjects {
  /** Objects whose thaw has not been requested. */
  frozen: ObjectHead[];
  /** Objects that S3 is thawing. */
  thawing: ObjectHead[];
}

/** Maximum number of objects that are looked up at the same time: an incremental archive may need thousands of packs. */
const CONCURRENCY = 16;

/** @returns the heads in the order of the keys; `null` for missing objects. */
export async function headsOf(
  keys: readonly string[],
  store: Pick<ArchiveStore, 'head'>,
  signal: AbortSignal,
): Promise<(ObjectHead | null)[]> {
  const heads: (ObjectHead | null)[] = [];
  await inParallel([...keys.entries()], CONCURRENCY, signal, async ([at, key], working) => {
    heads[at] = await store.head(key, { signal: working });
  });
  return heads;
}

/** Ignores missing objects; reading them reports the error. */
export async function findArchived(
  keys: readonly string[],
  store: ArchiveStore,
  signal: AbortSignal,
): Promise<ArchivedObjects> {
  const heads = (await headsOf(keys, store, signal)).filter((head) => head !== null);
  return {
    frozen: heads.filter(({ restore }) => restore === 'needed'),
    thawing: heads.filter(({ restore }) => restore === 'ongoing'),
  };
}

/**
 * Call it before resources are created for reading the objects.
 * @throws SnapError `OBJECT_ARCHIVED` if an object is not readable. Its hint has the prices and the commands that thaw the
 *   objects.
 */
export async function assertThawed(
  keys: readonly string[],
  services: Pick<Services, 'store'> & BucketPlace,
  signal: AbortSignal,
): Promise<void> {
  const { store } = services;
  const { frozen, thawing } = await findArchived(keys, store, signal);
  if (frozen.length > 0) {
    const prices = await thawPrices(services, signal);
    throw new SnapError('OBJECT_ARCHIVED', `${describeObjects(frozen)} and must be thawed before it can be read`, {
      hint: [
        `thaw ${describeOffers(frozen, THAW_DAYS, prices)} with the following commands, then run the same command again:`,
        ...frozen.map(({ key }) => restoreCommand(store.bucket, key)),
      ].join('\n'),
    });
  }
  if (thawing.length === 0) return;
  throw new SnapError('OBJECT_ARCHIVED', `${describeObjects(thawing)} and is being thawed`, {
    hint: 'run the same command again when S3 has thawed it',
  });
}

/** The prices of thawing objects of the bucket. */
export const thawPrices = (place: BucketPlace, signal: AbortSignal): Promise<BucketPrices> =>
  bucketPrices(place, signal, ['s3', 'retrieval']);

/** For example `KEY (and 2 more objects of the archive) is in GLACIER`. */
export function describeObjects(heads: readonly ObjectHead[]): string {
  const [first] = heads;
  const others = heads.length > 1 ? ` (and ${count(heads.length - 1, 'more object')} of the archive)` : '';
  return `${first?.key}${others} is in ${first?.storageClass}`;
}

/** The retrieval tiers that all objects support, cheapest first. The prices include the temporary copies. */
export function offersFor(heads: readonly ObjectHead[], days: number, prices: RegionPrices): ThawOffer[] {
  const tiersOf = ({ storageClass }: ObjectHead) => tiersIn(storageClass, prices);
  const [first] = heads;
  return (first ? tiersOf(first) : []).flatMap(({ tier }) => {
    const each = heads.map((head) => ({ head, price: tiersOf(head).find((other) => other.tier === tier) }));
    if (each.some(({ price }) => price === undefined)) return [];
    const dollars = each.reduce((sum, { head, price }) => sum + dollarsFor(head, price, days, prices), 0);
    // Deep Archive has the longest retrieval times.
    const slowest = each.find(({ head }) => head.storageClass === 'DEEP_ARCHIVE') ?? each[0];
    return [{ tier, takes: slowest?.price?.takes ?? '', dollars }];
  });
}

const tiersIn = (storageClass: string, { s3 }: RegionPrices): readonly RetrievalTier[] =>
  storageClass === 'INTELLIGENT_TIERING' ? TIERING : (s3[storageClass]?.retrieval ?? []);

/**
 * The archive tiers of Intelligent-Tiering. Only the head of an object shows its tier, so the longer time of both is given.
 * Source: the S3 pricing page.
 */
const TIERING: readonly RetrievalTier[] = [
  { tier: 'Bulk', gb: 0, thousandRequests: 0, takes: 'up to 48 hours' },
  { tier: 'Standard', gb: 0, thousandRequests: 0, takes: 'up to 12 hours' },
];

function dollarsFor(
  { bytes, storageClass }: ObjectHead,
  price: { gb: number; thousandRequests: number } | undefined,
  days: number,
  { s3 }: RegionPrices,
): number {
  const gigabytes = bytes / GiB;
  const isCopied = storageClass !== 'INTELLIGENT_TIERING';
  const copyMonth = isCopied ? (s3['STANDARD']?.gbMonth ?? 0) : 0;
  const copy = (gigabytes * copyMonth * days) / DAYS_A_MONTH;
  return gigabytes * (price?.gb ?? 0) + (price?.thousandRequests ?? 0) / 1000 + copy;
}

/** For example `1.00 GiB (list prices of eu-west-1, including the copy for 3 days: Bulk: up to 48 hours, $0.10; ...)`. */
export function describeOffers(heads: readonly ObjectHead[], days: number, { prices, note }: BucketPrices): string {
  const bytes = heads.reduce((sum, head) => sum + head.bytes, 0);
  const offers = offersFor(heads, days, prices).map(
    ({ tier, takes, dollars }) => `${tier}: ${takes}, ${formatDollars(dollars)}`,
  );
  if (offers.length === 0) return formatBytes(bytes);
  const of = `list prices of ${prices.region}, including the copy for ${count(days, 'day')}`;
  return `${formatBytes(bytes)} (${[`${of}: ${offers.join('; ')}`, ...(note === null ? [] : [note])].join('; ')})`;
}

const restoreCommand = (bucket: string, key: string): string =>
  `  aws s3api restore-object --bucket ${bucket} --key '${key.replaceAll("'", `'\\''`)}' --restore-request ` +
  `'{"Days":${THAW_DAYS},"GlacierJobParameters":{"Tier":"Bulk"}}'`;
