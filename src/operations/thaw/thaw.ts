/** Thaws objects in archive classes after the user has accepted the price. S3 stores the only state of a thaw. */
import type { ArchiveStore, ObjectHead } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { Host } from '../../events.ts';
import { minutes, monotonic, seconds } from '../../lib/clock.ts';
import { inParallel } from '../../lib/parallel.ts';
import { waitFor } from '../../lib/wait.ts';
import type { BucketPlace, BucketPrices } from '../shared/bucket-prices.ts';
import type { ThawSettings } from '../shared/settings/thaw.ts';
import { describeObjects, describeOffers, findArchived, headsOf, offersFor, thawPrices } from './archived-objects.ts';

export interface ThawServices extends BucketPlace {
  store: ArchiveStore;
  host: Host;
  signal: AbortSignal;
}

const CONCURRENCY = 8;

/**
 * Returns when all objects are readable; with `settings.wait`, this can take hours.
 * @param keys the required objects of one archive.
 * @throws SnapError `OBJECT_ARCHIVED` if the thaw was not confirmed, `THAWING` if S3 is thawing objects and
 *   `settings.wait` is not set, `USAGE` if the storage class does not have the tier, `WAIT_TIMEOUT`.
 */
export async function makeReadable(
  snapshot: string,
  keys: readonly string[],
  settings: ThawSettings,
  services: ThawServices,
): Promise<void> {
  const { frozen, thawing } = await findArchived(keys, services.store, services.signal);
  if (frozen.length > 0) await request(snapshot, frozen, settings, services);
  const awaited = [...frozen, ...thawing].map(({ key }) => key);
  if (awaited.length === 0) return;
  if (settings.wait) return wait(snapshot, awaited, services);
  throw new SnapError('THAWING', `${describeObjects([...frozen, ...thawing])} and is being thawed`, {
    hint: `run this command later, or with --wait: ${settings.resumeCommand}`,
  });
}

/**
 * Notifies the host of the times and prices of thawing the objects, without requesting it.
 * @returns the prices.
 * @throws SnapError `USAGE` if the storage class does not have the tier.
 */
export async function offerThaw(
  snapshot: string,
  heads: readonly ObjectHead[],
  { tier, days }: ThawSettings,
  { host, signal, ...place }: Omit<ThawServices, 'store'>,
): Promise<BucketPrices> {
  const found = await thawPrices(place, signal);
  const { prices, note: priceNote } = found;
  const offers = offersFor(heads, days, prices);
  const storageClasses = [...new Set(heads.map(({ storageClass }) => storageClass))];
  if (!offers.some((offer) => offer.tier === tier)) {
    const classes = storageClasses.join(' and ');
    throw new SnapError('USAGE', `objects in ${classes} cannot be thawed with --thaw-tier ${tier}`, {
      hint: `available tiers: ${offers.map((offer) => offer.tier).join(', ')}`,
    });
  }
  const bytes = heads.reduce((sum, head) => sum + head.bytes, 0);
  const terms = { days, tier, offers, priceRegion: prices.region, priceNote };
  const what = { objects: heads.length, bytes, storageClasses };
  host.notify({ code: 'thaw.offered', snapshot, ...what, ...terms });
  return found;
}

async function request(
  snapshot: string,
  heads: readonly ObjectHead[],
  settings: ThawSettings,
  services: ThawServices,
): Promise<void> {
  const { tier, days, consent, resumeCommand } = settings;
  const { store, host, signal } = services;
  const prices = await offerThaw(snapshot, heads, settings, services);
  if (!(await consent?.())) {
    signal.throwIfAborted();
    throw new SnapError('OBJECT_ARCHIVED', `${describeObjects(heads)} and must be thawed before it can be read`, {
      hint: `no thaw was requested; add --yes to thaw ${describeOffers(heads, days, prices)} with --thaw-tier ${tier}: ${resumeCommand}`,
    });
  }
  await inParallel(heads, CONCURRENCY, signal, async ({ key, storageClass }, working) => {
    const order = { tier, days: storageClass === 'INTELLIGENT_TIERING' ? null : days };
    const state = await store.thaw(key, order, { signal: working });
    host.notify({ code: 'thaw.requested', snapshot, key, tier, days, state });
  });
}

/** Longer than any tier takes for an object below 5 TB. Source: "Archive retrieval options" in the S3 user guide. */
const TIMEOUT = minutes(7 * 24 * 60);

/** All tiers except Expedited take hours, so frequent checks are not useful. */
const MAX_PAUSE = minutes(5);

async function wait(snapshot: string, keys: readonly string[], { store, host, signal }: ThawServices): Promise<void> {
  const started = monotonic();
  let left = [...keys];
  const seenThawing = new Set<string>();
  const notify = () => host.notify({ code: 'thaw.waiting', snapshot, objects: left.length, of: keys.length });
  notify();
  const look = async () => {
    const heads = await headsOf(left, store, signal);
    for (const head of heads) if (head?.restore === 'ongoing') seenThawing.add(head.key);
    // Right after the request, S3 may still return the old state.
    const still = left.filter((_key, index) => ['ongoing', 'needed'].includes(heads[index]?.restore ?? ''));
    const expired = heads.find((head) => head?.restore === 'needed' && seenThawing.has(head.key));
    if (expired) throw copyExpired(expired.key);
    const isProgress = still.length < left.length;
    left = still;
    if (isProgress && left.length > 0) notify();
    return {
      verdict: left.length === 0 ? ('done' as const) : ('again' as const),
      value: undefined,
      seen: `${left.length} of ${keys.length} being thawed`,
    };
  };
  await waitFor(look, {
    what: `objects of ${snapshot} to be thawed`,
    within: TIMEOUT,
    signal,
    firstPause: seconds(1),
    longestPause: MAX_PAUSE,
    hint: 'check the objects in the S3 console, then run the same command again',
  });
  host.notify({ code: 'thaw.finished', snapshot, objects: keys.length, seconds: (monotonic() - started) / 1000 });
}

const copyExpired = (key: string): SnapError =>
  new SnapError('OBJECT_ARCHIVED', `${key} was being thawed, and is in its archive class again`, {
    hint: 'its copy may have expired during the wait for other objects: run the same command again with a larger --thaw-days',
  });
