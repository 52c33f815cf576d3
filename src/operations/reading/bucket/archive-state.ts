/** Determines whether an archive is complete: the bucket must have all objects of its manifest, with their lengths and ETags. */
import { attemptStem } from '../../../archive/key.ts';
import type { Manifest } from '../../../archive/manifest.ts';
import type { PointManifest } from '../../../archive/points/point-manifest.ts';
import type { ListedObject } from '../../../cloud/ports.ts';
import { SnapError } from '../../../errors.ts';
import type { ListedArchive } from '../../../events.ts';
import { inParallel } from '../../../lib/parallel.ts';
import type { Services } from '../../shared/services.ts';
import { type AnyManifest, NO_MANIFEST } from '../find-archive.ts';
import { manifestOf, type TaggedArchives } from './archive-tags.ts';
import { isUnfinished } from './origin.ts';
import type { FoundArchive } from './scan-bucket.ts';

export type ArchiveState = ListedArchive['state'];

export interface JudgedArchive {
  found: FoundArchive;
  state: ArchiveState;
  /** Region and owner of the snapshot according to the manifest; `null` if there is none. */
  origin: Pick<Manifest['snapshot'], 'region' | 'ownerId'> | null;
  /** The manifest; without one, or if it cannot be read, both fields are `null`. */
  known: AnyManifest;
}

/** Maximum number of manifests that are read at the same time. */
const CONCURRENCY = 16;

/**
 * Reads the manifests, because the names of objects do not show how many of them an archive should have.
 * @param hasClaim whether a snapshot has a claim: a run is working on it, or was interrupted.
 * @returns the states in the order of the archives.
 * @throws SnapError the errors of the store, except for manifests that the caller may not read.
 */
export async function statesOf(
  { archives, manifests }: TaggedArchives,
  hasClaim: (snapshotId: string) => boolean,
  services: Pick<Services, 'store' | 'host'>,
  signal: AbortSignal,
): Promise<JudgedArchive[]> {
  const states: JudgedArchive[] = [];
  await inParallel([...archives.entries()], CONCURRENCY, signal, async ([at, found], working) => {
    const read = () => manifests.get(found) ?? manifestOf(found, services, working);
    states[at] = { found, ...(await judge(found, hasClaim(found.id), read)) };
  });
  return states;
}

/** Reads no data objects. Without a manifest, a complete archive of version 0 looks the same as an interrupted one. */
async function judge(
  found: FoundArchive,
  hasClaim: boolean,
  read: () => ReturnType<typeof manifestOf> | AnyManifest,
): Promise<Omit<JudgedArchive, 'found'>> {
  const unknown = { origin: null, known: NO_MANIFEST };
  try {
    const known = await read();
    if (known === 'unreadable') return { state: 'unreadable-manifest', ...unknown };
    const { manifest, point } = known;
    if (point) return { state: stateOfPoint(found, point.content), origin: point.content.snapshot, known };
    if (manifest) return { state: completeness(found, manifest.content), origin: manifest.content.snapshot, known };
    return { state: isUnfinished(found, hasClaim) ? 'unfinished' : 'without-manifest', ...unknown };
  } catch (error) {
    if (error instanceof SnapError && error.code === 'ACCESS_DENIED') return { state: 'unchecked', ...unknown };
    throw error;
  }
}

/** Considers only what the point itself stored: the packs of other points that it needs are listed with those. */
function stateOfPoint({ data, indexes }: FoundArchive, manifest: PointManifest): StateByManifest {
  const { own, map } = manifest.point;
  if (manifest.expiry?.state === 'expired') return 'expired';
  const documents = [map, ...(own.list ? [own.list] : [])];
  // An interrupted attempt may have left packs, too.
  const packs = data.filter(({ key }) => attemptStem(key) === attemptStem(map.key));
  const storedBytes = packs.reduce((sum, { bytes }) => sum + bytes, 0);
  if (packs.length !== own.packs || storedBytes !== own.storedBytes || !areAsLong(indexes, documents))
    return 'incomplete';
  if (!hasAll(indexes, documents)) return 'replaced';
  return stateOfWhole(manifest);
}

/** The states of archives with a manifest. */
type StateByManifest = Exclude<ArchiveState, 'unfinished' | 'without-manifest' | 'unreadable-manifest' | 'unchecked'>;

/** The state of an archive that has all of its objects. */
function stateOfWhole({ differedAt, expiry }: Pick<Manifest, 'differedAt' | 'expiry'>): StateByManifest {
  if (differedAt !== undefined) return 'differed';
  return expiry ? 'expiring' : 'complete';
}

function completeness({ data, indexes }: FoundArchive, manifest: Manifest): StateByManifest {
  const { objects, expiry } = manifest;
  if (expiry?.state === 'expired') return 'expired';
  if (data.length === 0) return 'without-data';
  const listed = [...data, ...indexes];
  const named = [...objects.map(asNamed), ...objects.flatMap(({ index }) => index ?? [])];
  if (hasAll(listed, named)) return stateOfWhole(manifest);
  return areAsLong(listed, named) ? 'replaced' : 'incomplete';
}

/** An object in a manifest. */
interface NamedObject {
  key: string;
  etag: string;
  bytes: number;
}

const asNamed = ({ key, etag, storedBytes: bytes }: Manifest['objects'][number]): NamedObject => ({ key, etag, bytes });

/** Does not consider indexes. @param data the objects of an archive in the bucket. @param objects those in its manifest. */
export const hasAllData = (data: FoundArchive['data'], objects: Manifest['objects']): boolean =>
  hasAll(data, objects.map(asNamed));

function hasAll(listed: readonly ListedObject[], named: readonly NamedObject[]): boolean {
  const etags = new Map(listed.map(({ key, etag }) => [key, etag]));
  return areAsLong(listed, named) && named.every(({ key, etag }) => etags.get(key) === etag);
}

function areAsLong(listed: readonly ListedObject[], named: readonly NamedObject[]): boolean {
  const lengths = new Map(listed.map(({ key, bytes }) => [key, bytes]));
  return named.length > 0 && named.every(({ key, bytes }) => lengths.get(key) === bytes);
}
