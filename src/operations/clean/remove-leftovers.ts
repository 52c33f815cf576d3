/** Removes the leftovers of one snapshot while holding its claim. */
import type { SnapError } from '../../errors.ts';
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { leftoversOf, traceOf } from '../leftovers/find-leftovers.ts';
import type { Leftover, Trace } from '../leftovers/leftover.ts';
import { processHolder } from '../sharing/claimed-work.ts';
import { type HeldClaim, takeClaim } from '../sharing/claims.ts';
import { type CleanSurvey, removeLeftover } from './remove-leftover.ts';

export interface Removal {
  removed: Leftover[];
  /** Failures, which were already reported as `cleanup.failed`. */
  errors: SnapError[];
}

/**
 * Takes the claim, reads the state of the snapshot again, because another run may have worked on it since the survey, and
 * removes its leftovers.
 * @throws SnapError `INTERRUPTED`
 */
export async function removeLeftovers(trace: Trace, survey: CleanSurvey): Promise<Removal> {
  const removal: Removal = { removed: [], errors: [] };
  try {
    await removeWithClaim(trace, survey, removal);
  } catch (thrown) {
    noteFailure(trace.snapshotId, thrown, survey, removal);
  }
  return removal;
}

async function removeWithClaim(trace: Trace, survey: CleanSurvey, removal: Removal): Promise<void> {
  const { snapshotId, found } = trace;
  const claim = await claimFor(trace, survey);
  await using _released = { [Symbol.asyncDispose]: () => claim.release() };
  if (claim.isTakenOver !== (found !== null)) return;
  await removeAll(
    claim,
    await traceOf(snapshotId, found && { ...found, claim: claim.content, isLive: false }, survey),
    survey,
    removal,
  );
}

/**
 * Removes the leftovers of a snapshot whose archive is complete, for a caller that holds the claim and keeps it. Does not
 * change the state tag, which the caller sets.
 */
export async function removeUnderClaim(claim: HeldClaim, snapshotId: string, survey: CleanSurvey): Promise<void> {
  const found = { key: claim.key, etag: '', claim: claim.content, isLive: false, lifeSeconds: 0, ageSeconds: 0 };
  const trace = await traceOf(snapshotId, found, survey);
  await removeAll(claim, { ...trace, snapshot: null }, survey, { removed: [], errors: [] });
}

async function removeAll(claim: HeldClaim, trace: Trace, survey: CleanSurvey, removal: Removal): Promise<void> {
  const { snapshotId } = trace;
  let isClean = true;
  for (const leftover of await leftoversOf(trace, survey)) {
    const isKept = leftover.obstacle !== null || (leftover.kind === 'claim' && !isClean);
    if (isKept || !(await tryRemove(leftover, claim, snapshotId, survey, removal))) isClean = false;
  }
}

async function tryRemove(
  leftover: Leftover,
  claim: HeldClaim,
  snapshot: string,
  survey: CleanSurvey,
  removal: Removal,
): Promise<boolean> {
  const { kind, id } = leftover;
  try {
    claim.confirm();
    await removeLeftover(leftover, survey);
    if (kind === 'claim') await claim.forgetProgress();
    removal.removed.push(leftover);
    survey.services.host.notify({ code: 'clean.removed', snapshot, kind, id });
    return true;
  } catch (thrown) {
    noteFailure(snapshot, thrown, survey, removal);
    return false;
  }
}

function claimFor({ snapshotId, snapshot, volumes, found }: Trace, survey: CleanSurvey): Promise<HeldClaim> {
  const { prefix, tagKey, claimLife: lifeSeconds } = survey.settings;
  const volumeId = snapshot?.volumeId ?? found?.claim?.volume ?? volumes[0]?.id ?? '';
  const subject = { id: snapshotId, volumeId, tags: snapshot?.tags ?? {} };
  const order = { snapshot: subject, prefix, command: 'clean', tagKey, holder: processHolder, lifeSeconds };
  return takeClaim(order, survey.services.store, survey.signal);
}

/**
 * Reports that the leftovers of one snapshot could not be determined, so that the search continues with the others.
 * @throws the error itself if it does not concern this snapshot alone, such as `INTERRUPTED`.
 */
export function noteUnknown(snapshot: string, thrown: unknown, { services }: CleanSurvey): SnapError {
  const error = failureOfOne(thrown);
  services.host.notify({ code: 'cleanup.failed', snapshot, what: 'leftovers that could not be examined', error });
  return error;
}

function noteFailure(snapshot: string, thrown: unknown, { services }: CleanSurvey, removal: Removal): void {
  const error = failureOfOne(thrown);
  removal.errors.push(error);
  services.host.notify({ code: 'cleanup.failed', snapshot, what: error.message, error });
}
