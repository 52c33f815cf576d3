/** The last steps of runs that were killed after their archive was complete: nobody would come back for these. */
import { claimFolder } from '../../archive/claim.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { inParallel } from '../../lib/parallel.ts';
import type { Services } from '../shared/services.ts';
import type { ClaimSettings } from '../sharing/claimed-work.ts';
import { type FoundClaim, findClaim } from '../sharing/claims.ts';
import { DONE } from '../sharing/state-tag.ts';
import { hasRoomForTag } from '../sharing/tag-room.ts';
import { surveyForRemoval } from './clean.ts';
import { isArchived } from './left-in-ec2.ts';
import type { Survey } from './leftover.ts';
import { traceOf } from './leftovers.ts';
import { removeLeftovers } from './remove-leftovers.ts';

/** Gives back the volumes and claims of snapshots whose archive is complete, and that nobody works on. */
export async function sweepFinishedClaims(
  settings: ClaimSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const claims = await services.store.list(claimFolder(settings.prefix), { signal });
  if (claims.length === 0) return;
  const survey = await surveyForRemoval(settings, services, signal);
  const ended = await endedClaims(claims, services, signal);
  const snapshots = await services.snapshots.byId([...ended.keys()], { signal });
  for (const snapshot of snapshots) {
    const found = ended.get(snapshot.id) ?? null;
    if (await isDone(snapshot, found, survey)) await removeLeftovers(await traceOf(snapshot.id, found, survey), survey);
  }
}

/** The tag says so; where there is no room for it, the manifest. */
async function isDone(snapshot: Snapshot, found: FoundClaim | null, survey: Survey): Promise<boolean> {
  const { tagKey } = survey.settings;
  if (DONE.includes(snapshot.tags[tagKey] ?? '')) return true;
  return !hasRoomForTag(snapshot.tags, tagKey) && (await isArchived(snapshot, found?.claim ?? null, survey));
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
