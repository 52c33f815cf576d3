/** Work on one snapshot that nobody else works on meanwhile. */
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
import { awaitEndOfClaim, type HeldClaim, takeClaim } from './claims.ts';
import type { WorkOutcome } from './run-each.ts';

export interface ClaimSettings extends VolumeSettings {
  selection: Selection;
  tagKey: string;
  prefix: string;
}

/** All claims of this process are taken in its name. */
export const processHolder = { ...thisProcess(), run: randomUUID() };

/** Which snapshot a command wants to work on, and how. */
interface WantedWork {
  snapshot: Snapshot;
  command: string;
  settings: ClaimSettings;
}

/** What work on a claimed snapshot gets. */
export interface ClaimedWork {
  claim: HeldClaim;
  /** Fires also when the claim is lost. */
  signal: AbortSignal;
  /** To be called once the work is done and recorded; what fails afterwards is clean-up. */
  onDone: () => void;
}

/**
 * Takes the claim, looks whether there is still something to do, and gives the claim up in the end.
 * @param work its signal fires also when the claim is lost.
 * @returns what the work says, or that another run has done it since the snapshots were listed.
 * @throws SnapError `CLAIMED`, `CLAIM_LOST`, and what the work throws.
 */
export async function underClaim(
  { snapshot, command, settings }: WantedWork,
  services: Services,
  signal: AbortSignal,
  work: (snapshot: Snapshot, claim: HeldClaim, signal: AbortSignal) => Promise<WorkOutcome>,
): Promise<WorkOutcome> {
  const { prefix, tagKey, claimLife: lifeSeconds } = settings;
  const order = { snapshot, prefix, command, tagKey, holder: processHolder, lifeSeconds };
  const claim = await takeClaim(order, services.store, signal);
  using _held = services.host.hold(claimHolding(services.store.bucket, claim.key, lifeSeconds));
  await using _released = { [Symbol.asyncDispose]: () => giveUp(claim, lifeSeconds) };
  const [fresh] = await services.snapshots.byId([snapshot.id], { signal });
  if (!fresh) throw new SnapError('NOT_FOUND', `${snapshot.id} has been deleted`);
  if (!isStillWanted(fresh, settings)) return { skipped: 'already done by another run' };
  if (claim.isTakenOver) services.host.notify({ code: 'claim.taken-over', snapshot: snapshot.id });
  return await work(fresh, claim, AbortSignal.any([signal, claim.lost]));
}

/** What a run that leaves at once leaves of it. */
const claimHolding = (bucket: string, key: string, lifeSeconds: number): Holding => ({
  what: `claim ${key}: free at once for runs on this machine, after ${lifeSeconds} s for others`,
  cleanupCommand: `aws s3api delete-object --bucket '${bucket}' --key '${key}'`,
});

/** @throws SnapError `CLEANUP_FAILED` */
async function giveUp(claim: HeldClaim, lifeSeconds: number): Promise<void> {
  try {
    await claim.release();
  } catch (cause) {
    throw cleanupError(`the claim ${claim.key}`, `it ends by itself after ${lifeSeconds} s`, cause);
  }
}

/** Who was named is worked on whatever its tag says. */
function isStillWanted({ tags }: Snapshot, { selection, tagKey }: ClaimSettings): boolean {
  if (selection.by === 'id') return true;
  return [selection.value, selection.underWay].includes(tags[tagKey] ?? '');
}

/** For a snapshot that somebody else has claimed: whether it may be free after all. */
export const mayBeFree = (snapshotId: string, { prefix }: ClaimSettings, { store }: Services, signal: AbortSignal) =>
  awaitEndOfClaim(claimKey(prefix, snapshotId), store, signal);

/** Marks temporary volumes as this bucket's and prefix's. */
export const archivesMark = ({ store }: Pick<Services, 'store'>, prefix: string): string => `${store.bucket}/${prefix}`;

/** Whether a claim was lost to a run on this machine, which uses the volume now. */
export const isUsedByOther = async (claim: HeldClaim): Promise<boolean> =>
  claim.lost.aborted && (await claim.isHeldHere().catch(() => true));
