/** Compares the index of an object with the facts about it in the manifest. */
import type { ManifestObject } from '../../archive/manifest.ts';
import type { ObjectHead } from '../../cloud/ports.ts';
import type { Difference } from '../../streams/difference.ts';
import type { ArchivedObject } from '../reading/find-archive.ts';
import type { ObjectFindings } from '../reading/object/object-findings.ts';
import type { ReadContext } from '../reading/read-context.ts';

/** Compares the ETag and the length, without reading the index. */
export async function checkIndex(
  { facts }: ArchivedObject,
  { store, signal }: Pick<ReadContext, 'store' | 'signal'>,
): Promise<Difference[]> {
  if (!facts?.index) return [];
  const { key, etag, bytes } = facts.index;
  const head = await store.head(key, { signal });
  if (!head) return [indexDifference(`${key} is not in the bucket`)];
  return head.etag === etag && head.bytes === bytes ? [] : [indexDifference(`${key} does not match the manifest`)];
}

/**
 * A copy of an archive can have other ETags, for example if other keys encrypt it. The manifest has no checksum of the
 * index, so another ETag is accepted only if the ETag of the data object has changed, too.
 */
export const isSameIndex = ({ etag, index }: ManifestObject, data: ObjectHead | null, found: ObjectHead): boolean =>
  found.bytes === index?.bytes && (found.etag === index.etag || (data !== null && data.etag !== etag));

export const indexDifference = (detail: string): Difference => ({ kind: 'index', path: '', detail });

export const withIndex = (check: ObjectFindings, found: readonly Difference[]): ObjectFindings => ({
  ...check,
  differences: [...check.differences, ...found],
  differenceCount: check.differenceCount + found.length,
});
