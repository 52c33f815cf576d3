/** Whether an archive is complete: what its manifest names must be there, as long as it was stored. */
import type { Manifest } from '../archive/manifest.ts';
import { SnapError } from '../errors.ts';
import type { ListedArchive } from '../events.ts';
import { inParallel } from '../lib/parallel.ts';
import { manifestOf, type TaggedArchives } from './archive-tags.ts';
import type { Archive } from './find-archive.ts';
import { isUnfinished } from './origin.ts';
import type { FoundArchive } from './scan-bucket.ts';
import type { Services } from './settings.ts';

export type ArchiveState = ListedArchive['state'];

/** Manifests read at once. */
const AT_ONCE = 16;

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
): Promise<{ found: FoundArchive; state: ArchiveState }[]> {
  const states: { found: FoundArchive; state: ArchiveState }[] = [];
  await inParallel([...archives.entries()], AT_ONCE, signal, async ([at, found], working) => {
    const read = () => manifests.get(found) ?? manifestOf(found, services, working);
    states[at] = { found, state: await stateOf(found, hasClaim(found.id), read) };
  });
  return states;
}

/** Version 0 wrote no manifests; what it broke off cannot be told from what it completed. Data objects are not read. */
async function stateOf(
  found: FoundArchive,
  hasClaim: boolean,
  read: () => ReturnType<typeof manifestOf> | Archive['manifest'],
): Promise<ArchiveState> {
  try {
    const manifest = await read();
    if (manifest === 'unreadable') return 'unreadable-manifest';
    if (manifest) return completeness(found, manifest.content);
    return isUnfinished(found, hasClaim) ? 'unfinished' : 'without-manifest';
  } catch (error) {
    if (error instanceof SnapError && error.code === 'ACCESS_DENIED') return 'unchecked';
    throw error;
  }
}

function completeness({ data }: FoundArchive, { objects }: Manifest): 'complete' | 'incomplete' | 'without-data' {
  if (data.length === 0) return 'without-data';
  return isComplete(data, objects) ? 'complete' : 'incomplete';
}

/** @param data what the bucket holds of an archive. @param objects what its manifest names. */
export function isComplete(data: FoundArchive['data'], objects: Manifest['objects']): boolean {
  const listed = new Map(data.map(({ key, bytes }) => [key, bytes]));
  return objects.length > 0 && objects.every(({ key, storedBytes }) => listed.get(key) === storedBytes);
}
