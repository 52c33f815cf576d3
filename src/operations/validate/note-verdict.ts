/** Records the result of a validation in the manifest of the archive. */
import { encodeManifest, MANIFEST_FORMAT, type Manifest } from '../../archive/manifest.ts';
import { objectMetadata } from '../../archive/metadata.ts';
import { encodePointManifest, POINT_FORMAT, type PointManifest } from '../../archive/points/point-manifest.ts';
import { objectTags } from '../../archive/tags.ts';
import type { ObjectFacts, Snapshot } from '../../cloud/ports.ts';
import { asError, SnapError } from '../../errors.ts';
import { now } from '../../lib/clock.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import type { Archive } from '../reading/find-archive.ts';
import type { ObjectFindings } from '../reading/object/object-findings.ts';
import type { Services } from '../shared/services.ts';
import { OnlyIndexesDiffer } from '../verify/check-archive.ts';
import { isSameIndex } from '../verify/check-index.ts';
import { withHashes } from '../verify/proved-objects.ts';

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

/**
 * Records in the manifest that the archive was validated, with the hashes of its plain bytes, so that it can be validated
 * again without the snapshot. Hashes of encrypted content are not recorded.
 */
export const noteProof = (
  archive: Archive,
  checks: readonly ObjectFindings[],
  facts: ManifestFacts,
  services: Pick<Services, 'store'>,
): Promise<void> =>
  rewriteManifest(archive, facts, services, {
    manifest: ({ differedAt: _, ...content }) => ({
      ...content,
      objects: withHashes(content.objects, checks),
      validatedAt: now().toISOString(),
    }),
    point: ({ differedAt: _, ...content }) => ({ ...content, validatedAt: now().toISOString() }),
  });

/**
 * Records in the manifest that the archive differs from its snapshot or is damaged, so that `list` shows it and the next
 * migration replaces it. Does not record indexes that are missing or were replaced, if nothing else differs: `list` and
 * `migrate` notice them without a record, and the data should not be stored again. If the manifest cannot be written,
 * reports that as `cleanup.failed`.
 * @param failure any failure of the validation.
 */
export async function noteDifference(
  failure: unknown,
  archive: Archive,
  facts: ManifestFacts,
  services: Pick<Services, 'store' | 'host'>,
): Promise<void> {
  if (!(failure instanceof SnapError) || failure.code !== 'DIFFERS') return;
  const differedAt = now().toISOString();
  try {
    if (failure instanceof OnlyIndexesDiffer && (await lostIndexes(archive, services)) === failure.count) return;
    const noted = { validatedAt: null, differedAt };
    await rewriteManifest(archive, facts, services, {
      manifest: (content) => ({ ...content, ...noted }),
      point: (content) => ({ ...content, ...noted }),
    });
  } catch (thrown) {
    const code = thrown instanceof SnapError ? thrown.code : 'BUG';
    const error = new SnapError(
      code,
      `the manifest does not record that its archive differs, so list and migrate regard it as good: ${asError(thrown).message}`,
      {
        hint: archive.point ? 'repeat the validation' : 'migrate the snapshot again with --replace',
        cause: thrown,
      },
    );
    services.host.notify({ code: 'cleanup.failed', snapshot: archive.snapshotId, what: 'manifest', error });
  }
}

/** @returns the number of indexes of which `migrate` notices that they are missing or were replaced. */
async function lostIndexes({ manifest }: Archive, { store }: Pick<Services, 'store'>): Promise<number> {
  const call = { signal: cleanupSignal() };
  let lost = 0;
  for (const object of manifest?.content.objects ?? []) {
    if (!object.index) continue;
    const [data, index] = [await store.head(object.key, call), await store.head(object.index.key, call)];
    if (index === null || !isSameIndex(object, data, index)) lost++;
  }
  return lost;
}

/** The change to a manifest of either kind. */
interface Change {
  manifest: (content: Manifest) => Manifest;
  point: (content: PointManifest) => PointManifest;
}

async function rewriteManifest(
  { manifest, point }: Archive,
  facts: ManifestFacts,
  { store }: Pick<Services, 'store'>,
  change: Change,
): Promise<void> {
  const put = async (content: Manifest | PointManifest, key: string, etag: string) => {
    const body = content.format === POINT_FORMAT ? encodePointManifest(content) : encodeManifest(content);
    await store.putSmall({ key, ...(await facts(content)) }, body, etag, { signal: cleanupSignal() });
  };
  if (manifest) await put(change.manifest(manifest.content), manifest.key, manifest.etag);
  if (point) await put(change.point(point.content), point.key, point.etag);
}
