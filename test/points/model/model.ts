/** What a lineage must look like: which snapshots exist, what the rules keep, and what was damaged. */
import assert from 'node:assert/strict';
import { type Bucket, DamagedPack, type PointManifest, rebuildPoint } from './rebuild.ts';

export const DAY = 86_400_000;

/** The default period of grace. */
export const GRACE = 7 * DAY;

export interface ModelSnapshot {
  id: string;
  volumeId: string;
  startTime: Date;
  /** The hashes of all blocks that are not zeros. */
  blocks: ReadonlyMap<number, string>;
  /** Whether a run reported that it is archived. */
  isArchived: boolean;
}

export interface Rules {
  last: number;
  daily: number;
}

/** Damaged packs, and whether a listing of the bucket shows the damage. */
export type Damage = ReadonlyMap<string, 'visible' | 'hidden'>;

/** The part of a key that all objects of one attempt have in common. */
const attemptOf = (key: string): string => key.replace(/\.(pack\.\d+|blocks|map)\..*$/, '');

/** The attempts whose packs the point needs as a whole. */
const attemptsOf = ({ point }: PointManifest): string[] => [
  ...(point.own.list ? [attemptOf(point.own.list.key)] : []),
  ...point.generations.map(({ blocks }) => attemptOf(blocks.key)),
];

/** Rebuilds each point that has not expired, and compares all of its blocks with those of the snapshot. */
export async function assertPointsAreRight(
  bucket: Bucket,
  manifests: ReadonlyMap<string, PointManifest>,
  snapshots: ReadonlyMap<string, ModelSnapshot>,
  damage: Damage,
): Promise<void> {
  for (const [id, manifest] of manifests) {
    if (manifest.expiry?.state === 'expired') continue;
    try {
      const found = await rebuildPoint(bucket, manifest);
      const sorted = [...found].sort(([a], [b]) => a - b);
      const expected = [...(snapshots.get(id)?.blocks ?? [])].sort(([a], [b]) => a - b);
      assert.deepEqual(sorted, expected, `the blocks of ${id}`);
    } catch (error) {
      if (!(error instanceof DamagedPack && damage.has(error.key))) throw error;
    }
  }
}

/** Whether the point needs, or has stored itself, a pack whose damage a listing shows. */
export const isVisiblyDamaged = (manifest: PointManifest, damage: Damage): boolean =>
  [...damage].some(([key, how]) => how === 'visible' && attemptsOf(manifest).includes(attemptOf(key)));

export const isDamaged = (manifest: PointManifest, damage: Damage): boolean =>
  [...damage.keys()].some((key) => attemptsOf(manifest).includes(attemptOf(key)));

/** The points of one volume that the rules keep, by a simple reading of docs/expire.md. */
function keptOf(points: readonly ModelSnapshot[], { last, daily }: Rules): Set<string> {
  const latestFirst = points.toSorted((a, b) => b.startTime.getTime() - a.startTime.getTime());
  const dayOf = ({ startTime }: ModelSnapshot) => startTime.toISOString().slice(0, 10);
  const days = [...new Set(latestFirst.map(dayOf))].slice(0, daily);
  const ofDays = days.map((day) => latestFirst.find((point) => dayOf(point) === day));
  const kept = [...latestFirst.slice(0, Math.max(1, last)), ...ofDays];
  return new Set(kept.flatMap((point) => point?.id ?? []));
}

/** After a complete run of `expire`: exactly those points are marked that the rules do not keep. */
export function assertMarksAreRight(
  manifests: ReadonlyMap<string, PointManifest>,
  snapshots: ReadonlyMap<string, ModelSnapshot>,
  damage: Damage,
  rules: Rules,
): void {
  const judged = [...manifests].flatMap(([id, manifest]) => {
    const snapshot = snapshots.get(id);
    if (!snapshot || manifest.expiry?.state === 'expired' || isVisiblyDamaged(manifest, damage)) return [];
    return [snapshot];
  });
  for (const [volumeId, points] of Map.groupBy(judged, (point) => point.volumeId)) {
    const kept = keptOf(points, rules);
    const unmarked = points.filter(({ id }) => !manifests.get(id)?.expiry).map(({ id }) => id);
    assert.deepEqual(new Set(unmarked), kept, `the unmarked points of ${volumeId}`);
  }
}

/** Points leave only in two steps, and never before the period of grace is over. @param before the last known manifests. */
export function assertNothingLeftEarly(
  before: ReadonlyMap<string, PointManifest>,
  now: ReadonlyMap<string, PointManifest>,
  at: Date,
): void {
  for (const [id, { expiry }] of before) {
    const later = now.get(id);
    if (later && later.expiry?.state !== 'expired') continue;
    assert.ok(expiry, `${id} was removed without a mark`);
    assert.ok(
      Date.parse(expiry.markedAt) + GRACE <= at.getTime(),
      `${id} was removed before ${expiry.markedAt} + 7 days`,
    );
  }
}

/** When all is done, the bucket holds exactly what the points that have not expired refer to. */
export function assertNothingElse(bucket: Bucket, manifests: ReadonlyMap<string, PointManifest>): void {
  const alive = [...manifests.values()].filter(({ expiry }) => expiry?.state !== 'expired');
  const used = new Set(alive.flatMap(attemptsOf));
  const maps = new Set(alive.map(({ point }) => point.map.key));
  const isExpected = (key: string): boolean => {
    if (maps.has(key)) return true;
    if (!key.endsWith('.manifest.json')) return /\.(pack|blocks)\./.test(key) && used.has(attemptOf(key));
    const [manifest] = [...manifests.values()].filter(({ snapshot }) => key.includes(snapshot.id));
    return (
      manifest !== undefined &&
      (alive.includes(manifest) ||
        attemptsOf(manifest)
          .slice(0, 1)
          .some((one) => used.has(one)))
    );
  };
  assert.deepEqual(
    [...bucket.etags.keys()].filter((key) => !isExpected(key)),
    [],
    'no point needs these objects',
  );
}
