/** Fetches and decodes the index of an image. */
import { type ImageIndex, readImageIndex } from '../../../archive/block-table.ts';
import type { ArchivedObject } from '../find-archive.ts';
import type { ReadContext } from '../read-context.ts';
import { decryptIndex } from './decrypt-index.ts';

/** A session key opens only the data object, not its index. */
export const canOpenIndex = ({ cipher }: ArchivedObject, sessionKey: string | null): boolean =>
  cipher === 'none' || sessionKey === null;

/**
 * The index of an encrypted image describes the blocks, but not their positions in the object. The positions in an index
 * that the manifest does not mention are not used either: the whole object is read and compared with everything else that
 * is known about it.
 * @returns `null` if there is no index, or none that can be decrypted.
 * @throws SnapError `MANIFEST`, `NOT_FOUND`, `GPG_KEY`
 */
export async function imageIndexOf(
  object: ArchivedObject,
  { store, signal, sessionKey }: Pick<ReadContext, 'store' | 'signal' | 'sessionKey'>,
): Promise<ImageIndex | null> {
  const { facts, cipher } = object;
  if (!facts?.index || !canOpenIndex(object, sessionKey)) return null;
  const { key } = facts.index;
  const { body, etag } = await store.getSmall(key, { signal });
  const isIntact = etag === facts.index.etag;
  const plain = cipher === 'none' ? body : await decryptIndex(object, key, { body, isIntact }, signal);
  const index = { ...(await readImageIndex(plain, key, signal)), storedBytes: body.length };
  return isIntact ? index : { ...index, pieces: [] };
}
