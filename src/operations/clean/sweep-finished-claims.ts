/** The last steps of runs that were killed after their archive was complete: nobody would come back for these. */
import { claimFolder } from '../../archive/claim.ts';
import { inParallel } from '../../lib/parallel.ts';
import type { Services } from '../shared/services.ts';
import type { ClaimSettings } from '../sharing/claimed-work.ts';
import { type FoundClaim, findClaim } from '../sharing/claims.ts';
import { DONE } from '../sharing/state-tag.ts';
import { surveyForRemoval } from './clean.ts';
import { traceOf } from './leftovers.ts';
import { removeLeftovers } from './remove-leftovers.ts';

/** Gives back the volumes and claims of snapshots whose tag says that all is done, and that nobody works on. */
export async function sweepFinishedClaims(
  settings: ClaimSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const { prefix, tagKey } = settings;
  const claims = await services.store.list(claimFolder(prefix), { signal });
  if (claims.length === 0) return;
  const survey = await surveyForRemoval(settings, services, signal);
  const ended = await endedClaims(claims, services, signal);
  const snapshots = await services.snapshots.byId([...ended.keys()], { signal });
  for (const { id, tags } of snapshots) {
    if (!DONE.includes(tags[tagKey] ?? '')) continue;
    await removeLeftovers(await traceOf(id, ended.get(id) ?? null, survey), survey);
  }
}

/** Claims read at once. */
const CONCURRENCY = 16;

/** @returns by snapshot. A run forgets its progress as the last thing before it says that it is done. */
async function endedClaims(
  keys: readonly string[],
  { store }: Services,
  signal: AbortSignal,
): Promise<Map<string, FoundClaim>> {
  const ended = new Map<string, FoundClaim>();
  await inParallel(keys, CONCURRENCY, signal, async (key, working) => {
    const found = await findClaim(key, store, working);
    if (found?.claim && !found.isLive && found.claim.progress === null) ended.set(found.claim.snapshot, found);
  });
  return ended;
}
