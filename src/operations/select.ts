/** From ids or tags to snapshots. */
import type { Snapshot, Snapshots } from '../cloud/ports.ts';
import { SnapError } from '../errors.ts';
import type { Selection } from './settings.ts';

export interface Selected {
  snapshots: Snapshot[];
  /** Ids that were asked for and cannot be worked on, with the reason. */
  refused: { id: string; error: SnapError }[];
}

/** @throws SnapError `NOTHING_TO_DO` when the tag selects nothing, `NOT_FOUND` when no id is known. */
export async function select(
  selection: Selection,
  tagKey: string,
  snapshots: Snapshots,
  signal: AbortSignal,
): Promise<Selected> {
  if (selection.by === 'id') return selectById(selection.ids, snapshots, signal);
  const found = await snapshots.tagged(tagKey, selection.value, { signal });
  if (found.length === 0) {
    throw new SnapError(
      'NOTHING_TO_DO',
      `no completed snapshot of this account and region has the tag ${tagKey}=${selection.value}`,
      {
        hint: `tag some: aws ec2 create-tags --resources SNAPSHOT --tags Key=${tagKey},Value=${selection.value}`,
      },
    );
  }
  return { snapshots: found.slice(0, selection.most ?? found.length), refused: [] };
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
    hint: 'check the ids and --region; snapshots that others share with you must be copied first',
  });

/** Why no volume can be made of it, as far as its description tells. */
function refusal(snapshot: Snapshot): SnapError | null {
  if (snapshot.storageTier === 'archive') {
    return new SnapError('SNAPSHOT_UNUSABLE', `${snapshot.id} is in the EBS archive tier`, {
      hint: `bring it back first: aws ec2 restore-snapshot-tier --snapshot-id ${snapshot.id} --temporary-restore-days 7`,
    });
  }
  if (snapshot.state !== 'completed') {
    return new SnapError('SNAPSHOT_UNUSABLE', `${snapshot.id} is ${snapshot.state}, not completed`, {
      hint: snapshot.state === 'pending' ? 'wait until it is completed' : 'look at the snapshot in the EC2 console',
    });
  }
  return null;
}
