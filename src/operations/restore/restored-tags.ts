/** The tags that a new snapshot or volume gets from the original snapshot, without those of this program. */
import type { Manifest } from '../../archive/manifest.ts';
import type { Archive } from '../reading/find-archive.ts';
import { openManifest, openPointManifest } from '../reading/open-manifest.ts';

/**
 * The original snapshot according to the manifest. A sealed manifest is opened, because its readable part has fewer tags.
 * @param sessionKey if given, a sealed manifest is not opened: a session key opens only one object.
 * @returns `null` for archives of version 0.
 * @throws SnapError `GPG_KEY`, `MANIFEST`
 */
export async function snapshotBefore(
  { manifest, point, snapshotId }: Archive,
  sessionKey: string | null,
  signal: AbortSignal,
): Promise<Manifest['snapshot'] | null> {
  if (point) return (await openPointManifest(point, signal)).snapshot;
  if (!manifest) return null;
  const { snapshot } = sessionKey === null ? await openManifest(manifest, snapshotId, signal) : manifest.content;
  return snapshot;
}

/**
 * @param tagKey key of the state tag, which is excluded: with it, the next migration would select the new snapshot.
 */
export const userTags = (before: Manifest['snapshot'] | null, tagKey: string): [key: string, value: string][] =>
  Object.entries(before?.tags ?? {}).filter(
    ([key]) => !key.startsWith('aws:') && !key.startsWith('snap-to-s3') && key !== tagKey && key !== `${tagKey}-id`,
  );
