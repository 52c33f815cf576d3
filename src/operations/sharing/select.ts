/** From ids or tags to snapshots. */
import { claimFolder, claimKey } from '../../archive/claim.ts';
import type { Snapshot, Snapshots } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { Services } from '../shared/services.ts';
import type { Selection } from '../shared/settings/selection.ts';
import type { ClaimSettings } from './claimed-work.ts';

export interface Selected {
  snapshots: Snapshot[];
  /** Ids that were asked for and cannot be worked on, with the reason. */
  refused: { id: string; error: SnapError }[];
}

/** @throws SnapError `NOTHING_TO_DO` when the tag selects nothing, `NOT_FOUND` when no id is known. */
export async function select(
  { selection, tagKey, prefix }: Pick<ClaimSettings, 'selection' | 'tagKey' | 'prefix'>,
  services: Services,
  signal: AbortSignal,
): Promise<Selected> {
  const { snapshots } = services;
  if (selection.by === 'id') return selectById(selection.ids, snapshots, signal);
  const waiting = await snapshots.tagged(tagKey, selection.value, { signal });
  const broken = await brokenOff(selection, tagKey, prefix, services, signal);
  const found = [...waiting, ...broken].sort((a, b) => a.startTime.getTime() - b.startTime.getTime());
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

/**
 * Snapshots whose work was begun and not ended. Those with a claim, live or not, are this program's: its claim tells
 * whether they are free. Those without may be in the hands of another tool: they are named, and left alone.
 */
async function brokenOff(
  { underWay }: Selection & { by: 'tag' },
  tagKey: string,
  prefix: string,
  { snapshots, store, host }: Services,
  signal: AbortSignal,
): Promise<Snapshot[]> {
  const found = await snapshots.tagged(tagKey, underWay, { signal });
  if (found.length === 0) return [];
  const claims = new Set(await store.list(claimFolder(prefix), { signal }));
  const isOurs = ({ id }: Snapshot): boolean => claims.has(claimKey(prefix, id));
  for (const { id } of found.filter((snapshot) => !isOurs(snapshot))) {
    const reason = `it is tagged ${underWay}, but no run of this bucket has claimed it (see: clean)`;
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
