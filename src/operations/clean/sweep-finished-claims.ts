/** Finishes runs that were killed after their archive was complete. No later run would process these snapshots again. */
import { claimFolder, snapshotOfClaim } from '../../archive/claim.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { inParallel } from '../../lib/parallel.ts';
import { traceOf } from '../leftovers/find-leftovers.ts';
import { isArchived } from '../leftovers/left-in-ec2.ts';
import type { Survey } from '../leftovers/leftover.ts';
import type { Services } from '../shared/services.ts';
import type { ClaimSettings } from '../sharing/claimed-work.ts';
import { type FoundClaim, findClaim } from '../sharing/claims.ts';
import { DONE } from '../sharing/state-tag.ts';
import { hasRoomForTag } from '../sharing/tag-room.ts';
import { surveyForRemoval } from './clean.ts';
import type { CleanSurvey } from './remove-leftover.ts';
import { noteUnknown, removeLeftovers } from './remove-leftovers.ts';

/** Removes the volumes and claims of snapshots whose archive is complete and that no run is working on. */
export async function sweepFinishedClaims(
  settings: ClaimSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const all = await services.store.list(claimFolder(settings.prefix), { signal });
  // Expiry claims volumes, too.
  const claims = all.filter((key) => snapshotOfClaim(key) !== null);
  if (claims.length === 0) return;
  const survey = await surveyForRemoval(settings, services, signal);
  const ended = await endedClaims(claims, survey);
  const snapshots = await services.snapshots.byId([...ended.keys()], { signal });
  for (const snapshot of snapshots) {
    const found = ended.get(snapshot.id) ?? null;
    await sweep(snapshot, found, survey).catch((error: unknown) => noteUnknown(snapshot.id, error, survey));
  }
}

async function sweep(snapshot: Snapshot, found: FoundClaim | null, survey: CleanSurvey): Promise<void> {
  if (await isDone(snapshot, found, survey)) await removeLeftovers(await traceOf(snapshot.id, found, survey), survey);
}

/** The tag shows whether the archive is complete; the manifest does if the snapshot has no room for the tag. */
async function isDone(snapshot: Snapshot, found: FoundClaim | null, survey: Survey): Promise<boolean> {
  const { tagKey } = survey.settings;
  if (DONE.includes(snapshot.tags[tagKey] ?? '')) return true;
  return !hasRoomForTag(snapshot.tags, tagKey) && (await isArchived(snapshot, found?.claim ?? null, survey));
}

/** Maximum number of claims that are read at the same time. */
const CONCURRENCY = 16;

/** @returns abandoned claims without progress, by snapshot. A run clears its progress right before it is done. */
async function endedClaims(keys: readonly string[], survey: CleanSurvey): Promise<Map<string, FoundClaim>> {
  const ended = new Map<string, FoundClaim>();
  await inParallel(keys, CONCURRENCY, survey.signal, async (key, working) => {
    const found = await findClaim(key, survey.services.store, working).catch((error: unknown) => {
      noteUnknown(snapshotOfClaim(key) ?? key, error, survey);
      return null;
    });
    if (found?.claim && !found.isLive && found.claim.progress === null) ended.set(found.claim.snapshot, found);
  });
  return ended;
}
