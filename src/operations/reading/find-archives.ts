/** Archives of snapshots that may be gone: the bucket itself is searched. */
import { parseAnyKey } from '../../archive/key.ts';
import type { ArchiveStore, Snapshots } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { seconds } from '../../lib/clock.ts';
import { inParallel } from '../../lib/parallel.ts';
import { type Archive, archiveOf, keysOf, readManifest } from './find-archive.ts';

export interface ArchiveSources {
  store: ArchiveStore;
  /** Asked for the volumes of snapshots, where a listing is long. */
  snapshots: Snapshots;
}

export interface FoundArchives {
  archives: Archive[];
  missing: { id: string; error: SnapError }[];
}

/** Manifests read at once. */
const CONCURRENCY = 16;

/** @param ids `null` for all archives. @returns in the order of the ids. */
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
    const found = manifest === undefined ? null : await readManifest(manifest, id, store, signal);
    return await archiveOf(id, found, keys, store, signal);
  } catch (error) {
    if (!(error instanceof SnapError) || error.code === 'INTERRUPTED') throw error;
    return { id, error };
  }
}

/** Keys that are looked through before EC2 is asked in which part of the bucket to look. */
const FEW = 2000;

/** Of some snapshots. Keys begin with the volume, which EC2 knows for snapshots that are still there. */
async function keysFor(
  ids: readonly string[],
  prefix: string,
  sources: ArchiveSources,
  signal: AbortSignal,
): Promise<string[]> {
  const wanted = new Set(ids);
  const isWanted = (key: string): boolean => {
    const name = parseAnyKey(key);
    return name?.prefix === prefix && wanted.has(name.snapshotId);
  };
  const keys: string[] = [];
  let looked = 0;
  for await (const { key } of sources.store.objects(prefix, { signal })) {
    if (++looked === FEW) {
      const below = await keysBelowVolumes(ids, prefix, sources, signal);
      if (below) return below.filter(isWanted);
    }
    if (isWanted(key)) keys.push(key);
  }
  return keys;
}

/** @returns `null` where EC2 cannot tell the volumes of all of them, or the bucket has nothing of one there. */
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

/** EC2 need not be reachable from where archives are read: it is not waited for. */
const EC2_ANSWERS_WITHIN = seconds(5);

/** @returns by snapshot; `null` where EC2 does not answer, or may not be asked. */
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
