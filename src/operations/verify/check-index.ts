/** Compares the index of an object with the facts about it in the manifest. */
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

export const indexDifference = (detail: string): Difference => ({ kind: 'index', path: '', detail });

export const withIndex = (check: ObjectFindings, found: readonly Difference[]): ObjectFindings => ({
  ...check,
  differences: [...check.differences, ...found],
  differenceCount: check.differenceCount + found.length,
});
