/** Finds archives by searching the bucket, because the snapshots may no longer exist. */
import { type ArchiveName, parseAnyKey } from '../../archive/key.ts';
import type { ArchiveStore, Snapshots } from '../../cloud/ports.ts';
import type { SnapError } from '../../errors.ts';
import { seconds } from '../../lib/clock.ts';
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { inParallel } from '../../lib/parallel.ts';
import { type Archive, archiveOf, keysOf, NO_MANIFEST, readManifest } from './find-archive.ts';

export interface ArchiveSources {
  store: ArchiveStore;
  /** Provides the volumes of snapshots, which limit the search if the listing is long. */
  snapshots: Snapshots;
}

export interface FoundArchives {
  archives: Archive[];
  missing: { id: string; error: SnapError }[];
}

/** Maximum number of manifests that are read at the same time. */
const CONCURRENCY = 16;

/** @param ids `null` for all archives. @returns the archives in the order of the ids. */
export async function findArchivesById(
  ids: readonly string[] | null,
  prefix: string,
  sources: ArchiveSources,
  signal: AbortSignal,
): Promise<FoundArchives> {
  const { store } = sources;
  const keys = ids === null ? await keysOf(prefix, '', store, signal) : await keysFor(ids, prefix, sources, signal);
  const bySnapshot = Map.groupBy(keys, (key) => parseAnyKey(key)?.snapshotId ?? '');
  const outcomes: (Archive | { id: string; error: SnapError })[] = [];
  await inParallel([...(ids ?? [...bySnapshot.keys()]).entries()], CONCURRENCY, signal, async ([at, id], working) => {
    outcomes[at] = await readArchive(id, bySnapshot.get(id) ?? [], store, working);
  });
  return {
    archives: outcomes.flatMap((outcome) => ('error' in outcome ? [] : [outcome])),
    missing: outcomes.flatMap((outcome) => ('error' in outcome ? [outcome] : [])),
  };
}

async function readArchive(
  id: string,
  keys: readonly string[],
  store: ArchiveStore,
  signal: AbortSignal,
): Promise<Archive | { id: string; error: SnapError }> {
  const manifest = keys.find((key) => key.endsWith('.manifest.json'));
  try {
    const found = manifest === undefined ? NO_MANIFEST : await readManifest(manifest, id, store, signal);
    return await archiveOf(id, found, keys, store, signal);
  } catch (thrown) {
    return { id, error: failureOfOne(thrown) };
  }
}

/** Number of keys that are listed before EC2 is asked which volumes to search. */
const FEW = 2000;

/**
 * Lists the keys of some snapshots. Keys begin with the volume id, which EC2 knows for snapshots that still exist. The
 * listing is in the order of the keys, so it stops behind the volume of the snapshot that was found last.
 */
async function keysFor(
  ids: readonly string[],
  prefix: string,
  sources: ArchiveSources,
  signal: AbortSignal,
): Promise<string[]> {
  const wanted = new Set(ids);
  const wantedName = (key: string): ArchiveName | null => {
    const name = parseAnyKey(key);
    return name?.prefix === prefix && wanted.has(name.snapshotId) ? name : null;
  };
  const keys: string[] = [];
  const notFound = new Set(ids);
  let lastVolume = '';
  let looked = 0;
  for await (const { key } of sources.store.objects(prefix, { signal })) {
    if (++looked === FEW) {
      const below = await keysBelowVolumes(ids, prefix, sources, signal);
      if (below) return below.filter(wantedName);
    }
    const name = wantedName(key);
    if (name) {
      keys.push(key);
      notFound.delete(name.snapshotId);
      lastVolume = `${prefix}${name.volumeId}/`;
    } else if (notFound.size === 0 && !key.startsWith(lastVolume)) break;
  }
  return keys;
}

/** @returns `null` unless EC2 knows the volumes of all snapshots, and the bucket has keys of each below its volume. */
async function keysBelowVolumes(
  ids: readonly string[],
  prefix: string,
  { store, snapshots }: ArchiveSources,
  signal: AbortSignal,
): Promise<string[] | null> {
  const found = await volumesOf(ids, snapshots, signal);
  if (!found || found.size < new Set(ids).size) return null;
  const keys: string[] = [];
  for (const volume of new Set(found.values())) keys.push(...(await keysOf(prefix, `${volume}/`, store, signal)));
  const there = new Set(keys.map((key) => parseAnyKey(key)?.snapshotId));
  return ids.every((id) => there.has(id)) ? keys : null;
}

/** Short, because archives can also be read where EC2 is not reachable. */
const EC2_ANSWERS_WITHIN = seconds(5);

/** @returns volume ids by snapshot; `null` if EC2 does not answer, or the caller may not call it. */
async function volumesOf(
  ids: readonly string[],
  snapshots: Snapshots,
  signal: AbortSignal,
): Promise<Map<string, string> | null> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(EC2_ANSWERS_WITHIN)]);
  try {
    const found = await snapshots.byId(ids, { signal: limited });
    return new Map(found.map(({ id, volumeId }) => [id, volumeId]));
  } catch {
    signal.throwIfAborted();
    return null;
  }
}
