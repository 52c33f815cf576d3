/** Objects in archive classes: they can be read only after a restore of hours, which nobody but the user orders. */
import type { ObjectHead } from '../cloud/ports.ts';
import { DAYS_A_MONTH, pricesIn, type RegionPrices } from '../costs/prices.ts';
import { SnapError } from '../errors.ts';
import { formatBytes, formatDollars } from '../lib/units.ts';
import type { Services } from './settings.ts';

/** Days that the restored copy is asked for: enough for a weekend in between. */
const DAYS = 3;

/**
 * Looks before anything is made for it.
 * @throws SnapError `OBJECT_ARCHIVED`: what a restore takes and costs, and the commands that ask for it.
 */
export async function refuseArchived(
  keys: readonly string[],
  { store, region }: Pick<Services, 'store' | 'region'>,
  signal: AbortSignal,
): Promise<void> {
  const heads = (await Promise.all(keys.map((key) => store.head(key, { signal })))).filter((head) => head !== null);
  const frozen = heads.filter(({ restore }) => restore === 'needed');
  const thawing = heads.filter(({ restore }) => restore === 'ongoing');
  const [first] = frozen;
  if (first) {
    throw new SnapError('OBJECT_ARCHIVED', `${nameThem(frozen)} and must be restored before it can be read`, {
      hint: [offersFor(frozen, pricesIn(region)), ...frozen.map(({ key }) => restoreCommand(store.bucket, key))].join(
        '\n',
      ),
    });
  }
  if (thawing.length === 0) return;
  throw new SnapError('OBJECT_ARCHIVED', `${nameThem(thawing)} and is being restored`, {
    hint: 'run the command again when it is there',
  });
}

function nameThem(heads: readonly ObjectHead[]): string {
  const [first] = heads;
  const others = heads.length > 1 ? ` (and ${heads.length - 1} more objects of the archive)` : '';
  return `${first?.key}${others} is in ${first?.storageClass}`;
}

/** `Bulk: up to 48 hours, $0.10` for each tier, cheapest first. */
function offersFor(heads: readonly ObjectHead[], { s3 }: RegionPrices): string {
  const bytes = heads.reduce((sum, head) => sum + head.bytes, 0);
  const gigabytes = bytes / 2 ** 30;
  const copy = (gigabytes * (s3['STANDARD']?.gbMonth ?? 0) * DAYS) / DAYS_A_MONTH;
  const offers = (s3[heads[0]?.storageClass ?? '']?.retrieval ?? []).map(({ tier, gb, thousandRequests, takes }) => {
    const dollars = gigabytes * gb + (heads.length * thousandRequests) / 1000 + copy;
    return `${tier}: ${takes}, ${formatDollars(dollars)}`;
  });
  const prices = offers.length === 0 ? '' : ` (list prices, with ${DAYS} days of the copy: ${offers.join('; ')})`;
  return `ask for ${formatBytes(bytes)}${prices}, then run the same command again:`;
}

const restoreCommand = (bucket: string, key: string): string =>
  `  aws s3api restore-object --bucket ${bucket} --key '${key.replaceAll("'", `'\\''`)}' --restore-request ` +
  `'{"Days":${DAYS},"GlacierJobParameters":{"Tier":"Bulk"}}'`;
