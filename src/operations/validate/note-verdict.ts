/** Records the result of a validation in the manifest of the archive. */
import type { PointManifest } from '../../archive/points/point-manifest.ts';
import { type PointValidation, validationOf } from '../../archive/points/point-validation.ts';
import { asError, SnapError } from '../../errors.ts';
import { now } from '../../lib/clock.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import { type ManifestFacts, rewriteManifest } from '../marking/rewrite-manifest.ts';
import type { Archive } from '../reading/find-archive.ts';
import type { ObjectFindings } from '../reading/object/object-findings.ts';
import type { Services } from '../shared/services.ts';
import { OnlyIndexesDiffer } from '../verify/check-archive.ts';
import { isSameIndex } from '../verify/check-index.ts';
import { withHashes } from '../verify/proved-objects.ts';

/** What a validation without differences has compared. */
export interface Proof {
  /** The findings about the objects; none for a point. */
  checks: readonly ObjectFindings[];
  /** For a point, whether its packs were read. */
  packs: PointValidation['packs'];
}

/**
 * One that did not read all packs replaces none that did, and is no evidence against a difference that was found before.
 */
export function withValidation(content: PointManifest, validation: PointValidation): PointManifest {
  const { differedAt: _, ...others } = content;
  if (validation.packs === 'read') return { ...others, validation, validatedAt: validation.at };
  return validationOf(content)?.packs === 'read' ? content : { ...content, validation, validatedAt: null };
}

/**
 * Records in the manifest that the archive was validated, with the hashes of its plain bytes, so that it can be validated
 * again without the snapshot. Hashes of encrypted content are not recorded.
 */
export const noteProof = (
  archive: Archive,
  { checks, packs }: Proof,
  facts: ManifestFacts,
  services: Pick<Services, 'store'>,
): Promise<void> =>
  rewriteManifest(archive, facts, services, {
    manifest: ({ differedAt: _, ...content }) => ({
      ...content,
      objects: withHashes(content.objects, checks),
      validatedAt: now().toISOString(),
    }),
    point: (content) => withValidation(content, { at: now().toISOString(), packs }),
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
      point: ({ validation: _, ...content }) => ({ ...content, ...noted }),
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
