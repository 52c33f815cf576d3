/** Work on a snapshot under its claim, so that no other run works on it at the same time. */
import { randomUUID } from 'node:crypto';
import { claimKey } from '../../archive/claim.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { Holding } from '../../events.ts';
import { cleanupError } from '../../lib/disposal.ts';
import { thisProcess } from '../../lib/process-identity.ts';
import type { Services } from '../shared/services.ts';
import type { Selection } from '../shared/settings/selection.ts';
import type { VolumeSettings } from '../shared/settings/volume.ts';
import { awaitEndOfClaim, type ClaimOrder, type HeldClaim, takeClaim } from './claims.ts';
import type { WorkOutcome } from './run-each.ts';

export interface ClaimSettings extends VolumeSettings {
  selection: Selection;
  tagKey: string;
  prefix: string;
}

/** The holder that this process writes to its claims. */
export const processHolder = { ...thisProcess(), run: randomUUID() };

interface WorkRequest {
  snapshot: Snapshot;
  command: string;
  settings: ClaimSettings;
}

/** The context of work on a claimed snapshot. */
export interface ClaimedWork {
  claim: HeldClaim;
  /** Is also aborted when the claim is lost. */
  signal: AbortSignal;
  /** Call it once the work is done and recorded. Later failures count as failures of the cleanup. */
  onDone: () => void;
}

/**
 * Takes the claim, checks whether the work still needs to be done, does it, and releases the claim.
 * @param work receives the current state of the snapshot, and a signal that is also aborted when the claim is lost.
 * @returns the outcome of the work, or `skipped` if another run has done it since the snapshots were listed.
 * @throws SnapError `CLAIMED`, `CLAIM_LOST`, `NOT_FOUND` if the snapshot was deleted, and the errors of the work.
 */
export async function underClaim(
  { snapshot, command, settings }: WorkRequest,
  services: Services,
  signal: AbortSignal,
  work: (snapshot: Snapshot, claim: HeldClaim, signal: AbortSignal) => Promise<WorkOutcome>,
): Promise<WorkOutcome> {
  const { prefix, tagKey, claimLife: lifeSeconds } = settings;
  const order = { snapshot, prefix, command, tagKey, lifeSeconds };
  return holdingClaim(order, services, signal, async (claim, running) => {
    const [fresh] = await services.snapshots.byId([snapshot.id], { signal });
    if (!fresh) throw new SnapError('NOT_FOUND', `${snapshot.id} has been deleted`);
    if (!isStillWanted(fresh, settings)) return { skipped: 'already done by another run' };
    if (claim.isTakenOver) services.host.notify({ code: 'claim.taken-over', snapshot: snapshot.id });
    return await work(fresh, claim, running);
  });
}

/**
 * Takes a claim, does the work, and releases the claim.
 * @param work receives a signal that is also aborted when the claim is lost.
 * @throws SnapError `CLAIMED`, `CLAIM_LOST`, and the errors of the work.
 */
export async function holdingClaim<T>(
  order: Omit<ClaimOrder, 'holder'>,
  services: Pick<Services, 'store' | 'host'>,
  signal: AbortSignal,
  work: (claim: HeldClaim, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { lifeSeconds } = order;
  const claim = await takeClaim({ ...order, holder: processHolder }, services.store, signal);
  using _held = services.host.hold(claimHolding(services.store.bucket, claim.key, lifeSeconds));
  await using _released = { [Symbol.asyncDispose]: () => releaseClaim(claim, lifeSeconds) };
  return await work(claim, AbortSignal.any([signal, claim.lost]));
}

const claimHolding = (bucket: string, key: string, lifeSeconds: number): Holding => ({
  what: `claim ${key}: expires immediately for runs on this machine, after ${lifeSeconds} s for other machines`,
  cleanupCommand: `aws s3api delete-object --bucket '${bucket}' --key '${key}'`,
});

/** @throws SnapError `CLEANUP_FAILED` if the claim cannot be released; it then expires. */
async function releaseClaim(claim: HeldClaim, lifeSeconds: number): Promise<void> {
  try {
    await claim.release();
  } catch (cause) {
    throw cleanupError(`the claim ${claim.key}`, `the claim expires by itself after ${lifeSeconds} s`, cause);
  }
}

/** Snapshots that were selected by id are processed regardless of their tags. */
function isStillWanted({ tags }: Snapshot, { selection, tagKey }: ClaimSettings): boolean {
  if (selection.by === 'id') return true;
  return [selection.value, selection.inProgress].includes(tags[tagKey] ?? '');
}

/**
 * Waits for the end of the claim of another run, at most for the life of the claim.
 * @returns whether the snapshot may be free now.
 */
export const mayBeFree = (snapshotId: string, { prefix }: ClaimSettings, { store }: Services, signal: AbortSignal) =>
  awaitEndOfClaim(claimKey(prefix, snapshotId), store, signal);

/** The tag value that assigns temporary volumes to this bucket and prefix. */
export const archivesMark = ({ store }: Pick<Services, 'store'>, prefix: string): string => `${store.bucket}/${prefix}`;

/** Whether the claim was lost to another run on this machine, which now uses the temporary volume. */
export const isUsedByOther = async (claim: HeldClaim): Promise<boolean> =>
  claim.lost.aborted && (await claim.isHeldHere().catch(() => true));
