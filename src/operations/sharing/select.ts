/** Finds the snapshots that a command selects by id or by tag. */
import { claimFolder, claimKey } from '../../archive/claim.ts';
import type { Snapshot, Snapshots } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { Services } from '../shared/services.ts';
import type { Selection } from '../shared/settings/selection.ts';
import type { ClaimSettings } from './claimed-work.ts';

export interface Selected {
  snapshots: Snapshot[];
  /** Requested ids that cannot be processed, with the reason. */
  refused: { id: string; error: SnapError }[];
}

/** @throws SnapError `NOTHING_TO_DO` if no snapshot has the tag, `NOT_FOUND` if no requested snapshot exists. */
export async function select(
  { selection, tagKey, prefix }: Pick<ClaimSettings, 'selection' | 'tagKey' | 'prefix'>,
  services: Services,
  signal: AbortSignal,
): Promise<Selected> {
  const { snapshots } = services;
  if (selection.by === 'id') return selectById(selection.ids, snapshots, signal);
  const waiting = await snapshots.tagged(tagKey, selection.value, { signal });
  const interrupted = await findInterrupted(selection, tagKey, prefix, services, signal);
  const found = [...waiting, ...interrupted].sort((a, b) => a.startTime.getTime() - b.startTime.getTime());
  if (found.length === 0) {
    throw new SnapError(
      'NOTHING_TO_DO',
      `no completed snapshot of this account and region has the tag ${tagKey}=${selection.value}`,
      {
        hint: `tag the snapshots: aws ec2 create-tags --resources SNAPSHOT... --tags Key=${tagKey},Value=${selection.value}`,
      },
    );
  }
  return { snapshots: found.slice(0, selection.limit ?? found.length), refused: [] };
}

/**
 * Snapshots whose tag says that work is in progress. Those with a claim, live or expired, belong to this program, and the
 * claim decides whether they are free. Those without a claim may be in use by another tool, so they are reported and
 * skipped.
 */
async function findInterrupted(
  { inProgress }: Selection & { by: 'tag' },
  tagKey: string,
  prefix: string,
  { snapshots, store, host }: Services,
  signal: AbortSignal,
): Promise<Snapshot[]> {
  const found = await snapshots.tagged(tagKey, inProgress, { signal });
  if (found.length === 0) return [];
  const claims = new Set(await store.list(claimFolder(prefix), { signal }));
  const isOurs = ({ id }: Snapshot): boolean => claims.has(claimKey(prefix, id));
  for (const { id } of found.filter((snapshot) => !isOurs(snapshot))) {
    const reason = `it is tagged ${inProgress}, but no run has claimed it in this bucket (see the command clean)`;
    host.notify({ code: 'snapshot.skipped', snapshot: id, reason });
  }
  return found.filter(isOurs);
}

async function selectById(ids: readonly string[], source: Snapshots, signal: AbortSignal): Promise<Selected> {
  const found = new Map((await source.byId(ids, { signal })).map((snapshot) => [snapshot.id, snapshot]));
  if (found.size === 0) throw notFound(ids.join(', '));
  const selected: Selected = { snapshots: [], refused: [] };
  for (const id of ids) {
    const snapshot = found.get(id);
    const error = snapshot ? refusal(snapshot) : notFound(id);
    if (snapshot && !error) selected.snapshots.push(snapshot);
    else if (error) selected.refused.push({ id, error });
  }
  return selected;
}

const notFound = (which: string): SnapError =>
  new SnapError('NOT_FOUND', `not a snapshot of this account and region: ${which}`, {
    hint: 'check the ids and --region; copy snapshots that another account shares with you to your account first',
  });

/** @returns the reason why no volume can be created from the snapshot, according to its description; else `null`. */
function refusal(snapshot: Snapshot): SnapError | null {
  if (snapshot.storageTier === 'archive') {
    return new SnapError('SNAPSHOT_UNUSABLE', `${snapshot.id} is in the EBS archive tier`, {
      hint: `restore it from the archive tier first: aws ec2 restore-snapshot-tier --snapshot-id ${snapshot.id} --temporary-restore-days 7`,
    });
  }
  if (snapshot.state !== 'completed') {
    return new SnapError('SNAPSHOT_UNUSABLE', `${snapshot.id} is in state ${snapshot.state}, not completed`, {
      hint:
        snapshot.state === 'pending' ? 'wait until the snapshot is completed' : 'check the snapshot in the EC2 console',
    });
  }
  return null;
}
