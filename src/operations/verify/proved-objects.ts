/** The hashes that a validation adds to the objects in a manifest. */
import type { ManifestObject } from '../../archive/manifest.ts';
import type { ObjectFindings } from '../reading/object/object-findings.ts';

/**
 * Adds the hashes of the plain bytes, so that the objects can be validated again without the snapshot. Encrypted objects
 * get none, because a hash would confirm a guess of their content.
 */
export function withHashes(
  objects: readonly ManifestObject[],
  findings: readonly Pick<ObjectFindings, 'key' | 'plainSha256'>[],
): ManifestObject[] {
  const hashes = new Map(findings.map(({ key, plainSha256 }) => [key, plainSha256]));
  return objects.map((object) =>
    object.cipher === 'none' ? { ...object, plainSha256: hashes.get(object.key) ?? null } : object,
  );
}
