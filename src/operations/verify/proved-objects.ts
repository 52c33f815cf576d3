/** What a proof adds to the objects of a manifest. */
import type { ManifestObject } from '../../archive/manifest.ts';
import type { ObjectFindings } from '../reading/object/object-findings.ts';

/**
 * Objects with the hashes of their plain bytes, so that they can be proved again without the snapshot. A hash of what is
 * encrypted would tell who has a guess that it is right.
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
