/** Finds out with one listing of the bucket which snapshots have no manifest, instead of asking for each manifest. */
import { manifestKey } from '../../archive/key.ts';
import type { ArchiveStore, Snapshot } from '../../cloud/ports.ts';

/** For fewer snapshots, single reads are faster than the listing of a bucket of unknown size. */
const MANY = 16;

/** Beyond this many keys per snapshot, a listing takes longer than single reads: it has 1000 keys per call. */
const MAX_KEYS_PER_SNAPSHOT = 100;

/**
 * @returns the ids of snapshots that have no manifest in the bucket. Others may have one, or were not looked for.
 * @throws SnapError the errors of the listing.
 */
export async function withoutManifest(
  snapshots: readonly Snapshot[],
  prefix: string,
  store: Pick<ArchiveStore, 'objects'>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  if (snapshots.length < MANY) return new Set();
  const idsByKey = new Map(
    snapshots.map(({ id, volumeId, startTime }) => [manifestKey({ prefix, volumeId, startTime, snapshotId: id }), id]),
  );
  let keysLeft = snapshots.length * MAX_KEYS_PER_SNAPSHOT;
  for await (const { key } of store.objects(prefix, { signal })) {
    if (keysLeft-- === 0) return new Set();
    idsByKey.delete(key);
  }
  return new Set(idsByKey.values());
}
