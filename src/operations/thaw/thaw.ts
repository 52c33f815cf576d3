/** Objects in archive classes, asked for once somebody has said yes to the price. S3 alone remembers that. */
import type { ArchiveStore, ObjectHead } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { Host } from '../../events.ts';
import { minutes, monotonic, seconds } from '../../lib/clock.ts';
import { inParallel } from '../../lib/parallel.ts';
import { waitFor } from '../../lib/wait.ts';
import type { ThawSettings } from '../shared/settings/thaw.ts';
import { describeOffers, findArchived, nameThem, offersFor } from './archived-objects.ts';

export interface ThawServices {
  store: ArchiveStore;
  region: string;
  host: Host;
  signal: AbortSignal;
}

const CONCURRENCY = 8;

/**
 * Sees to it that the objects can be read: at once, or after hours of waiting.
 * @param keys of objects of one archive, those that are needed.
 * @throws SnapError `OBJECT_ARCHIVED` where nobody has said yes, `THAWING` where nobody waits, `USAGE` for a tier that
 *   the class has not, `WAIT_TIMEOUT`.
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
  throw new SnapError('THAWING', `${nameThem([...frozen, ...thawing])} and is being thawed`, {
    hint: `run this again when it is done (or with --wait): ${settings.again}`,
  });
}

/** Tells what it takes and costs to thaw what is frozen of them; asks for nothing. @throws SnapError `USAGE` */
export function offerThaw(
  snapshot: string,
  heads: readonly ObjectHead[],
  { tier, days }: ThawSettings,
  { region, host }: Pick<ThawServices, 'region' | 'host'>,
): void {
  const offers = offersFor(heads, days, region);
  const storageClasses = [...new Set(heads.map(({ storageClass }) => storageClass))];
  if (!offers.some((offer) => offer.tier === tier)) {
    throw new SnapError('USAGE', `objects in ${storageClasses.join(' and ')} cannot be thawed by --thaw-tier ${tier}`, {
      hint: `there is: ${offers.map((offer) => offer.tier).join(', ')}`,
    });
  }
  const bytes = heads.reduce((sum, head) => sum + head.bytes, 0);
  host.notify({ code: 'thaw.offered', snapshot, objects: heads.length, bytes, storageClasses, days, tier, offers });
}

async function request(
  snapshot: string,
  heads: readonly ObjectHead[],
  settings: ThawSettings,
  services: ThawServices,
): Promise<void> {
  const { tier, days, consent, again } = settings;
  const { store, region, host, signal } = services;
  offerThaw(snapshot, heads, settings, services);
  if (!(await consent?.())) {
    signal.throwIfAborted();
    throw new SnapError('OBJECT_ARCHIVED', `${nameThem(heads)} and must be thawed before it can be read`, {
      hint: `nothing was asked for; --yes asks for ${describeOffers(heads, days, region)}, by --thaw-tier ${tier}: ${again}`,
    });
  }
  await inParallel(heads, CONCURRENCY, signal, async ({ key, storageClass }, working) => {
    const order = { tier, days: storageClass === 'INTELLIGENT_TIERING' ? null : days };
    const state = await store.thaw(key, order, { signal: working });
    host.notify({ code: 'thaw.requested', snapshot, key, tier, days, state });
  });
}

/** More than any tier takes for what is below 5 TB. Source: "Archive retrieval options" of the S3 user guide. */
const WITHIN = minutes(7 * 24 * 60);

/** It takes hours, but for the dearest: there is no need to look often. */
const LONGEST_PAUSE = minutes(5);

async function wait(snapshot: string, keys: readonly string[], { store, host, signal }: ThawServices): Promise<void> {
  const started = monotonic();
  let left = [...keys];
  const begun = new Set<string>();
  const tell = () => host.notify({ code: 'thaw.waiting', snapshot, objects: left.length, of: keys.length });
  tell();
  const look = async () => {
    const heads = await Promise.all(left.map((key) => store.head(key, { signal })));
    for (const head of heads) if (head?.restore === 'ongoing') begun.add(head.key);
    // What was asked for just now may not be known everywhere yet.
    const still = left.filter((_key, index) => ['ongoing', 'needed'].includes(heads[index]?.restore ?? ''));
    const lost = heads.find((head) => head?.restore === 'needed' && begun.has(head.key));
    if (lost) throw forgotten(lost.key);
    const isNews = still.length < left.length;
    left = still;
    if (isNews && left.length > 0) tell();
    return {
      verdict: left.length === 0 ? ('done' as const) : ('again' as const),
      value: undefined,
      seen: `${left.length} of ${keys.length} being thawed`,
    };
  };
  await waitFor(look, {
    what: `objects of ${snapshot} to be thawed`,
    within: WITHIN,
    signal,
    firstPause: seconds(1),
    longestPause: LONGEST_PAUSE,
    hint: 'look at the object in the S3 console; then run the same command again',
  });
  host.notify({ code: 'thaw.finished', snapshot, objects: keys.length, seconds: (monotonic() - started) / 1000 });
}

const forgotten = (key: string): SnapError =>
  new SnapError('OBJECT_ARCHIVED', `${key} was asked for, and is not being thawed any more`, {
    hint: 'its copy may have expired while others were waited for: run it again, with more --thaw-days',
  });
