/** Changes the manifest of an archive in its place. */
import { encodeManifest, MANIFEST_FORMAT, type Manifest } from '../../archive/manifest.ts';
import { objectMetadata } from '../../archive/metadata.ts';
import { encodePointManifest, POINT_FORMAT, type PointManifest } from '../../archive/points/point-manifest.ts';
import { objectTags } from '../../archive/tags.ts';
import type { ObjectFacts, Snapshot } from '../../cloud/ports.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import type { AnyManifest } from '../reading/find-archive.ts';
import type { Services } from '../shared/services.ts';

/** The metadata and tags that a manifest gets when it is replaced. */
export type ManifestFacts = (manifest: Manifest | PointManifest) => Promise<Pick<ObjectFacts, 'metadata' | 'tags'>>;

/** If the snapshot exists, the metadata and tags are derived from it. */
export const factsOfSnapshot =
  (snapshot: Snapshot, tagKey: string): ManifestFacts =>
  async (manifest) => ({
    metadata:
      manifest.format === MANIFEST_FORMAT
        ? objectMetadata(
            snapshot,
            manifest.objects.reduce((sum, { plainBytes }) => sum + plainBytes, 0),
          )
        : objectMetadata(snapshot, 0, POINT_FORMAT),
    tags: objectTags(snapshot.tags, tagKey).tags,
  });

/** Without the snapshot, the manifest keeps the metadata and tags that it has. */
export const factsOfManifest =
  (key: string, { store }: Pick<Services, 'store'>): ManifestFacts =>
  async () => {
    const call = { signal: cleanupSignal() };
    const [head, tags] = await Promise.all([store.head(key, call), store.tags(key, call)]);
    return { metadata: head?.metadata ?? {}, tags };
  };

/** The change to a manifest of either kind. */
export interface ManifestChange {
  manifest: (content: Manifest) => Manifest;
  point: (content: PointManifest) => PointManifest;
}

/**
 * Replaces the manifest if it is still the one that was read.
 * @throws SnapError `ARCHIVE_EXISTS` if it was changed meanwhile; the errors of the store.
 */
export async function rewriteManifest(
  { manifest, point }: AnyManifest,
  facts: ManifestFacts,
  { store }: Pick<Services, 'store'>,
  change: ManifestChange,
): Promise<void> {
  const put = async (content: Manifest | PointManifest, key: string, etag: string) => {
    const body = content.format === POINT_FORMAT ? encodePointManifest(content) : encodeManifest(content);
    await store.putSmall({ key, ...(await facts(content)) }, body, etag, { signal: cleanupSignal() });
  };
  if (manifest) await put(change.manifest(manifest.content), manifest.key, manifest.etag);
  if (point) await put(change.point(point.content), point.key, point.etag);
}
