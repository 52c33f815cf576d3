/** Objects in archive classes: they can be read only after hours, and for a price, which is told before. */
import type { ArchiveStore, ObjectHead } from '../../cloud/ports.ts';
import type { RetrievalTier } from '../../costs/price-types.ts';
import { DAYS_A_MONTH, pricesIn } from '../../costs/prices.ts';
import { SnapError } from '../../errors.ts';
import type { ThawOffer } from '../../events.ts';
import { formatBytes, formatDollars, GiB } from '../../lib/units.ts';
import type { Services } from '../shared/services.ts';

/** Days that the restored copy is asked for: enough for a weekend in between. */
export const THAW_DAYS = 3;

export interface ArchivedObjects {
  /** Nobody has asked for them. */
  frozen: ObjectHead[];
  /** S3 is at it. */
  thawing: ObjectHead[];
}

/** Objects that are not there are left to whoever reads them. */
export async function findArchived(
  keys: readonly string[],
  store: ArchiveStore,
  signal: AbortSignal,
): Promise<ArchivedObjects> {
  const heads = (await Promise.all(keys.map((key) => store.head(key, { signal })))).filter((head) => head !== null);
  return {
    frozen: heads.filter(({ restore }) => restore === 'needed'),
    thawing: heads.filter(({ restore }) => restore === 'ongoing'),
  };
}

/**
 * Looks before anything is made for it.
 * @throws SnapError `OBJECT_ARCHIVED`: what a restore takes and costs, and the commands that ask for it.
 */
export async function assertThawed(
  keys: readonly string[],
  { store, region }: Pick<Services, 'store' | 'region'>,
  signal: AbortSignal,
): Promise<void> {
  const { frozen, thawing } = await findArchived(keys, store, signal);
  if (frozen.length > 0) {
    throw new SnapError('OBJECT_ARCHIVED', `${nameThem(frozen)} and must be restored before it can be read`, {
      hint: [
        `ask for ${describeOffers(frozen, THAW_DAYS, region)}, then run the same command again:`,
        ...frozen.map(({ key }) => restoreCommand(store.bucket, key)),
      ].join('\n'),
    });
  }
  if (thawing.length === 0) return;
  throw new SnapError('OBJECT_ARCHIVED', `${nameThem(thawing)} and is being restored`, {
    hint: 'run the command again when it is there',
  });
}

export function nameThem(heads: readonly ObjectHead[]): string {
  const [first] = heads;
  const others = heads.length > 1 ? ` (and ${heads.length - 1} more objects of the archive)` : '';
  return `${first?.key}${others} is in ${first?.storageClass}`;
}

/** For each tier that all of them have, cheapest first; the copies included. */
export function offersFor(heads: readonly ObjectHead[], days: number, region: string): ThawOffer[] {
  const tiersOf = ({ storageClass }: ObjectHead) => tiersIn(storageClass, region);
  const [first] = heads;
  return (first ? tiersOf(first) : []).flatMap(({ tier }) => {
    const each = heads.map((head) => ({ head, price: tiersOf(head).find((other) => other.tier === tier) }));
    if (each.some(({ price }) => price === undefined)) return [];
    const dollars = each.reduce((sum, { head, price }) => sum + dollarsFor(head, price, days, region), 0);
    // Deep Archive is the slowest.
    const slowest = each.find(({ head }) => head.storageClass === 'DEEP_ARCHIVE') ?? each[0];
    return [{ tier, takes: slowest?.price?.takes ?? '', dollars }];
  });
}

const tiersIn = (storageClass: string, region: string): readonly RetrievalTier[] =>
  storageClass === 'INTELLIGENT_TIERING' ? TIERING : (pricesIn(region).s3[storageClass]?.retrieval ?? []);

/** Of its archive tiers, which only the object's head tells; the longer of their times. Source: the S3 pricing page. */
const TIERING: readonly RetrievalTier[] = [
  { tier: 'Bulk', gb: 0, thousandRequests: 0, takes: 'up to 48 hours' },
  { tier: 'Standard', gb: 0, thousandRequests: 0, takes: 'up to 12 hours' },
];

function dollarsFor(
  { bytes, storageClass }: ObjectHead,
  price: { gb: number; thousandRequests: number } | undefined,
  days: number,
  region: string,
): number {
  const gigabytes = bytes / GiB;
  const isCopied = storageClass !== 'INTELLIGENT_TIERING';
  const copyMonth = isCopied ? (pricesIn(region).s3['STANDARD']?.gbMonth ?? 0) : 0;
  const copy = (gigabytes * copyMonth * days) / DAYS_A_MONTH;
  return gigabytes * (price?.gb ?? 0) + (price?.thousandRequests ?? 0) / 1000 + copy;
}

/** `1.00 GiB (list prices, with 3 days of the copy: Bulk: up to 48 hours, $0.10; ...)` */
export function describeOffers(heads: readonly ObjectHead[], days: number, region: string): string {
  const bytes = heads.reduce((sum, head) => sum + head.bytes, 0);
  const offers = offersFor(heads, days, region).map(
    ({ tier, takes, dollars }) => `${tier}: ${takes}, ${formatDollars(dollars)}`,
  );
  const prices = offers.length === 0 ? '' : ` (list prices, with ${days} days of the copy: ${offers.join('; ')})`;
  return `${formatBytes(bytes)}${prices}`;
}

const restoreCommand = (bucket: string, key: string): string =>
  `  aws s3api restore-object --bucket ${bucket} --key '${key.replaceAll("'", `'\\''`)}' --restore-request ` +
  `'{"Days":${THAW_DAYS},"GlacierJobParameters":{"Tier":"Bulk"}}'`;
