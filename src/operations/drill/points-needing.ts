/** Finds the points that need a pack, from the manifests and maps of the points of its volume. */
import { parseSmallKey } from '../../archive/key.ts';
import { PLACE } from '../../archive/points/point-map.ts';
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { inParallel } from '../../lib/parallel.ts';
import { readManifest } from '../reading/find-archive.ts';
import type { FoundPoint } from '../reading/point/found-point.ts';
import type { NeededPack } from '../reading/point/needed-packs.ts';
import { openMap } from '../reading/point/open-point.ts';
import type { ReadContext } from '../reading/read-context.ts';

/** Ids of snapshots, in the order of their keys. */
interface Needing {
  neededBy: string[];
  /** The snapshots whose manifest or map cannot be read; `null` if the manifests cannot be listed. */
  unknown: string[] | null;
}

/** Maximum number of maps that are read at the same time. */
const CONCURRENCY = 4;

/** @param of a point that needs the pack. @throws SnapError `INTERRUPTED` */
export async function pointsNeeding(needed: NeededPack, of: FoundPoint, context: ReadContext): Promise<Needing> {
  const manifests = await manifestsBeside(of.key, context).catch((thrown) => {
    failureOfOne(thrown);
    return null;
  });
  if (!manifests) return { neededBy: [of.content.snapshot.id], unknown: null };
  const answers: (boolean | null)[] = [];
  await inParallel([...manifests.entries()], CONCURRENCY, context.signal, async ([at, one], signal) => {
    answers[at] = await needs(one, needed, of, { ...context, signal }).catch((thrown) => {
      failureOfOne(thrown);
      return null;
    });
  });
  const withAnswer = (answer: boolean | null) =>
    manifests.filter((_one, at) => answers[at] === answer).map(({ snapshotId }) => snapshotId);
  return { neededBy: withAnswer(true), unknown: withAnswer(null) };
}

interface ManifestName {
  key: string;
  snapshotId: string;
}

/** The manifests of the same volume under the same prefix. */
async function manifestsBeside(key: string, { store, signal }: ReadContext): Promise<ManifestName[]> {
  const own = parseSmallKey(key);
  if (!own) return [];
  const keys = await store.list(`${own.prefix}${own.volumeId}/`, { signal });
  return keys.flatMap((name) => {
    const parsed = parseSmallKey(name);
    const isBeside = parsed?.what === 'manifest' && parsed.prefix === own.prefix;
    return isBeside ? [{ key: name, snapshotId: parsed.snapshotId }] : [];
  });
}

/** @returns `null` if the map contradicts the manifest. */
async function needs(
  { key, snapshotId }: ManifestName,
  { list, pack }: NeededPack,
  of: FoundPoint,
  context: ReadContext,
): Promise<boolean | null> {
  const { point } = await readManifest(key, snapshotId, context.store, context.signal);
  const listIn = (other: FoundPoint | null) =>
    other?.content.point.generations.find(({ snapshot }) => snapshot === list.snapshot)?.blocks.key;
  if (!point || listIn(point) === undefined || listIn(point) !== listIn(of)) return false;
  const { generations, places } = await openMap(point, context);
  const generation = generations.indexOf(list.snapshot);
  if (generation < 0) return null;
  const place = PLACE.first + generation;
  return list.indexes.subarray(pack.first, pack.end).some((index) => places[index] === place);
}
