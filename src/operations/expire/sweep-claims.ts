/** Removes what killed runs have left beside the archives, which no other command removes. */
import { claimFolder } from '../../archive/claim.ts';
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { inParallel } from '../../lib/parallel.ts';
import { findClaim } from '../sharing/claims.ts';
import { pinnedSnapshots } from '../sharing/pins.ts';
import { underExpiryClaim } from './claim-for-expiry.ts';
import type { ExpiryContext } from './expiry-context.ts';

/** Maximum number of claims that are read at the same time. */
const CONCURRENCY = 16;

/**
 * Removes the claims of runs of `expire` that have died, and pins that have expired. A claim that records stored objects
 * stays for the command that stored them.
 * @throws SnapError the errors of the store.
 */
export async function sweepClaims(context: ExpiryContext): Promise<void> {
  const { settings, services, signal } = context;
  const { prefix } = settings;
  const { store } = services;
  await pinnedSnapshots(prefix, store, signal);
  const keys = await store.list(claimFolder(prefix), { signal });
  await inParallel(keys, CONCURRENCY, signal, async (key, working) => {
    const found = await findClaim(key, store, working);
    if (!found?.claim || found.isLive || found.claim.command !== 'expire' || found.claim.progress !== null) return;
    const { snapshot: id, volume: volumeId } = found.claim;
    try {
      await underExpiryClaim({ id, volumeId }, { ...context, signal: working }, async () => {});
    } catch (thrown) {
      const failure = failureOfOne(thrown);
      if (failure.code !== 'CLAIMED') throw failure;
    }
  });
}
