/** Writes and removes the mark of an archive. */
import type { ExpiryMark } from '../../archive/expiry/mark.ts';
import { SnapError } from '../../errors.ts';
import { factsOfManifest, rewriteManifest } from '../marking/rewrite-manifest.ts';
import { readManifest } from '../reading/find-archive.ts';
import type { ExpiryContext } from './expiry-context.ts';
import type { LineageArchive } from './lineage.ts';

/**
 * @param mark `null` removes the mark. @param expected the mark that the manifest must still have.
 * @returns `false` if the manifest was changed by others since it was listed; then it is left as it is.
 */
export async function changeMark(
  { id, manifest }: LineageArchive,
  mark: ExpiryMark | null,
  expected: ExpiryMark | null,
  { services, signal }: ExpiryContext,
): Promise<boolean> {
  if (manifest === null) return false;
  const known = await readManifest(manifest.key, id, services.store, signal);
  const found = (known.manifest ?? known.point)?.content.expiry;
  if (found?.state !== expected?.state || found?.markedAt !== expected?.markedAt) return false;
  const change = <T extends { expiry?: ExpiryMark }>({ expiry: _, ...content }: T) =>
    mark === null ? content : { ...content, expiry: mark };
  try {
    await rewriteManifest(known, factsOfManifest(manifest.key, services), services, {
      manifest: (content) => change(content) as typeof content,
      point: (content) => change(content) as typeof content,
    });
    return true;
  } catch (error) {
    if (error instanceof SnapError && error.code === 'ARCHIVE_EXISTS') return false;
    throw error;
  }
}
