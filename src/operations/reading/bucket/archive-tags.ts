/** Selects archives by the tags of their snapshots, which are in the manifest or, without one, on the objects. */
import type { Manifest } from '../../../archive/manifest.ts';
import { carriedForms } from '../../../archive/tags.ts';
import { inParallel } from '../../../lib/parallel.ts';
import type { Services } from '../../shared/services.ts';
import type { WantedTag } from '../../shared/settings/archive-filter.ts';
import { type AnyManifest, isUnusableManifest, NO_MANIFEST, readManifest } from '../find-archive.ts';
import type { FoundArchive } from './scan-bucket.ts';

/** Maximum number of manifests, or tags of objects, that are read at the same time. */
const CONCURRENCY = 8;

export interface TaggedArchives {
  archives: FoundArchive[];
  /** The manifests that were read for the selection. */
  manifests: ReadonlyMap<FoundArchive, AnyManifest>;
  /** Number of archives that are left out because their manifests cannot be read. */
  unreadable: number;
}

/** Reports manifests that cannot be read, and leaves out their archives. */
export async function keepTagged(
  batch: readonly FoundArchive[],
  tags: readonly WantedTag[],
  services: Pick<Services, 'store' | 'host'>,
  signal: AbortSignal,
): Promise<TaggedArchives> {
  const manifests = new Map<FoundArchive, AnyManifest>();
  if (tags.length === 0) return { archives: [...batch], manifests, unreadable: 0 };
  const fitting = new Set<FoundArchive>();
  let unreadable = 0;
  await inParallel(batch, CONCURRENCY, signal, async (found, working) => {
    const manifest = await manifestOf(found, services, working);
    if (manifest === 'unreadable') {
      unreadable++;
      return;
    }
    manifests.set(found, manifest);
    const known = await tagsOf(found, manifest, services, working);
    if (tags.every((wanted) => known.has(wanted))) fitting.add(found);
  });
  return { archives: batch.filter((found) => fitting.has(found)), manifests, unreadable };
}

export async function manifestOf(
  { id, manifestKey }: FoundArchive,
  { store, host }: Pick<Services, 'host'> & { store: Pick<Services['store'], 'getSmall'> },
  signal: AbortSignal,
): Promise<AnyManifest | 'unreadable'> {
  if (manifestKey === null) return NO_MANIFEST;
  try {
    return await readManifest(manifestKey, id, store, signal);
  } catch (error) {
    if (!isUnusableManifest(error)) throw error;
    host.notify({ code: 'archive.unreadable', snapshot: id, key: manifestKey, error });
    return 'unreadable';
  }
}

export interface KnownTags {
  has(wanted: WantedTag): boolean;
}

/** Without a manifest, as in archives of version 0, reads the tags of one object: all objects carry the same tags. */
async function tagsOf(
  found: FoundArchive,
  { manifest, point }: AnyManifest,
  services: Pick<Services, 'store'>,
  signal: AbortSignal,
): Promise<KnownTags> {
  const content = (manifest ?? point)?.content;
  if (content) return tagsIn(content);
  const [object] = found.data;
  return carried(object ? await services.store.tags(object.key, { signal }) : {});
}

/** The tags that the snapshot had, according to the manifest. */
export const tagsIn = ({ snapshot, sealed }: Pick<Manifest, 'snapshot' | 'sealed'>): KnownTags =>
  typeof sealed === 'string' ? carried(snapshot.tags) : exact(snapshot.tags);

const exact = (tags: Record<string, string>): KnownTags => ({
  has: ({ key, value }) => Object.hasOwn(tags, key) && (value === null || tags[key] === value),
});

/** S3 does not allow every character in tags, so the stored forms of a tag are compared, too. */
const carried = (tags: Record<string, string>): KnownTags => ({
  has: ({ key, value }) =>
    carriedForms(key).some(
      (name) => Object.hasOwn(tags, name) && (value === null || carriedForms(value).includes(tags[name] ?? '')),
    ),
});
