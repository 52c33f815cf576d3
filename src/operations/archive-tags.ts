/** Archives chosen by the tags of their snapshots, which manifests tell. */
import { SnapError } from '../errors.ts';
import { inParallel } from '../lib/parallel.ts';
import { type Archive, readManifest } from './find-archive.ts';
import type { FoundArchive } from './scan-bucket.ts';
import type { Services, WantedTag } from './settings.ts';

/** Manifests read at once. */
const AT_ONCE = 8;

/**
 * Archives without a manifest have no tags that could be told. A manifest that cannot be read is told, and its archive
 * left out.
 */
export async function keepTagged(
  batch: readonly FoundArchive[],
  tags: readonly WantedTag[],
  services: Pick<Services, 'store' | 'host'>,
  signal: AbortSignal,
): Promise<{ archives: FoundArchive[]; unreadable: number }> {
  if (tags.length === 0) return { archives: [...batch], unreadable: 0 };
  const fitting = new Set<FoundArchive>();
  let unreadable = 0;
  await inParallel(batch, AT_ONCE, signal, async (found, working) => {
    const manifest = await manifestOf(found, services, working);
    if (manifest === 'unreadable') unreadable++;
    else if (manifest && hasTags(manifest.content.snapshot.tags, tags)) fitting.add(found);
  });
  return { archives: batch.filter((found) => fitting.has(found)), unreadable };
}

/** `null` where there is none. */
export async function manifestOf(
  { id, manifestKey }: FoundArchive,
  { store, host }: Pick<Services, 'store' | 'host'>,
  signal: AbortSignal,
): Promise<Archive['manifest'] | 'unreadable'> {
  if (manifestKey === null) return null;
  try {
    return await readManifest(manifestKey, id, store, signal);
  } catch (error) {
    if (!(error instanceof SnapError) || error.code !== 'MANIFEST') throw error;
    host.notify({ code: 'archive.unreadable', snapshot: id, key: manifestKey, error });
    return 'unreadable';
  }
}

const hasTags = (tags: Record<string, string>, wanted: readonly WantedTag[]): boolean =>
  wanted.every(({ key, value }) => Object.hasOwn(tags, key) && (value === null || tags[key] === value));
