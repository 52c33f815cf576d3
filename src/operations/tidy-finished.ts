/** The last steps of runs that were killed after their archive was complete: nobody would come back for these. */
import { claimFolder } from '../archive/claim.ts';
import type { ClaimSettings } from './claimed-work.ts';
import { findClaim } from './claims.ts';
import { instanceId } from './clean.ts';
import type { Survey } from './leftover.ts';
import { traceOf } from './leftovers.ts';
import { removeLeftovers } from './remove-leftovers.ts';
import type { Services } from './settings.ts';
import { DONE } from './state-tag.ts';
import { storeClock } from './store-clock.ts';

/** Gives back the volumes and claims of snapshots whose tag says that all is done, and that nobody works on. */
export async function tidyFinished(settings: ClaimSettings, services: Services, signal: AbortSignal): Promise<void> {
  const { prefix, tagKey } = settings;
  const claims = await services.store.list(claimFolder(prefix), { signal });
  if (claims.length === 0) return;
  const survey: Survey = {
    settings: { ...settings, olderThan: 0, remove: true },
    services,
    signal,
    instanceId: await instanceId(services),
    clock: await storeClock(services.store, signal),
  };
  for (const key of claims) {
    const found = await findClaim(key, services.store, signal);
    // A run forgets its progress as the last thing before it says that it is done.
    if (!found?.claim || found.isLive || found.claim.progress !== null) continue;
    const [snapshot] = await services.snapshots.byId([found.claim.snapshot], { signal });
    if (!snapshot || !DONE.includes(snapshot.tags[tagKey] ?? '')) continue;
    await removeLeftovers(await traceOf(snapshot.id, found, survey), survey);
  }
}
