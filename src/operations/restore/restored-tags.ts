/** What a new snapshot or volume gets of the old snapshot: its tags and description, and none of the tool's own. */
import type { Manifest } from '../../archive/manifest.ts';
import type { Archive } from '../reading/find-archive.ts';
import { openManifest } from '../reading/open-manifest.ts';

/**
 * The snapshot as the whole manifest has it: the part of a sealed one that anybody can read has fewer tags.
 * @param sessionKey opens one object and no manifest: what can be read of it must do then.
 * @returns `null` for archives of version 0.
 * @throws SnapError `GPG_KEY`, `MANIFEST`
 */
export async function snapshotBefore(
  { manifest, snapshotId }: Archive,
  sessionKey: string | null,
  signal: AbortSignal,
): Promise<Manifest['snapshot'] | null> {
  if (!manifest) return null;
  const { snapshot } = sessionKey === null ? await openManifest(manifest, snapshotId, signal) : manifest.content;
  return snapshot;
}

/** @param tagKey of the tag that carries a snapshot's state: with it, the next migration would select the new one. */
export const userTags = (before: Manifest['snapshot'] | null, tagKey: string): [key: string, value: string][] =>
  Object.entries(before?.tags ?? {}).filter(
    ([key]) => !key.startsWith('aws:') && !key.startsWith('snap-to-s3') && key !== tagKey && key !== `${tagKey}-id`,
  );
