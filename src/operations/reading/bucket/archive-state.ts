/** Whether an archive is complete: what its manifest names must be there, by length and ETag. */
import type { Manifest } from '../../../archive/manifest.ts';
import { SnapError } from '../../../errors.ts';
import type { ListedArchive } from '../../../events.ts';
import { inParallel } from '../../../lib/parallel.ts';
import type { Services } from '../../shared/services.ts';
import type { Archive } from '../find-archive.ts';
import { manifestOf, type TaggedArchives } from './archive-tags.ts';
import { isUnfinished } from './origin.ts';
import type { FoundArchive } from './scan-bucket.ts';

export type ArchiveState = ListedArchive['state'];

export interface JudgedArchive {
  found: FoundArchive;
  state: ArchiveState;
  /** Where the snapshot was taken, as the manifest says; `null` without one. */
  origin: Pick<Manifest['snapshot'], 'region' | 'ownerId'> | null;
}

/** Manifests read at once. */
const CONCURRENCY = 16;

/**
 * Reads the manifests: names alone do not tell how many objects there should be. In the order of the archives.
 * @param hasClaim whether a run works on a snapshot, or broke off.
 * @throws SnapError the store's own, but for manifests that may not be read.
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

/** Version 0 wrote no manifests, so its interrupted archives look like complete ones. Data objects are not read. */
async function judge(
  found: FoundArchive,
  hasClaim: boolean,
  read: () => ReturnType<typeof manifestOf> | Archive['manifest'],
): Promise<Omit<JudgedArchive, 'found'>> {
  try {
    const manifest = await read();
    if (manifest === 'unreadable') return { state: 'unreadable-manifest', origin: null };
    if (manifest) return { state: completeness(found, manifest.content), origin: manifest.content.snapshot };
    return { state: isUnfinished(found, hasClaim) ? 'unfinished' : 'without-manifest', origin: null };
  } catch (error) {
    if (error instanceof SnapError && error.code === 'ACCESS_DENIED') return { state: 'unchecked', origin: null };
    throw error;
  }
}

function completeness(
  { data }: FoundArchive,
  { objects, differedAt }: Manifest,
): 'complete' | 'differed' | 'incomplete' | 'replaced' | 'without-data' {
  if (data.length === 0) return 'without-data';
  if (hasAllObjects(data, objects)) return differedAt === undefined ? 'complete' : 'differed';
  return areAsLong(data, objects) ? 'replaced' : 'incomplete';
}

/** @param data what the bucket holds of an archive. @param objects what its manifest names. */
export function hasAllObjects(data: FoundArchive['data'], objects: Manifest['objects']): boolean {
  const listed = new Map(data.map(({ key, etag }) => [key, etag]));
  return areAsLong(data, objects) && objects.every(({ key, etag }) => listed.get(key) === etag);
}

function areAsLong(data: FoundArchive['data'], objects: Manifest['objects']): boolean {
  const listed = new Map(data.map(({ key, bytes }) => [key, bytes]));
  return objects.length > 0 && objects.every(({ key, storedBytes }) => listed.get(key) === storedBytes);
}
