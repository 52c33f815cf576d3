/** Fetches and decodes the index of an image. */
import { crc32 } from 'node:zlib';
import { type ImageIndex, readImageIndex } from '../../../archive/block-table.ts';
import { damagedIndex } from '../../../archive/file-index.ts';
import { downloadWhole } from '../../../transfer/download.ts';
import type { ArchivedObject } from '../find-archive.ts';
import type { ReadContext } from '../read-context.ts';
import { decryptIndex } from './decrypt-index.ts';
import { type FoundIndex, fetchIndex, findIndex } from './fetch-index.ts';

/** A session key opens only the data object, not its index. */
export const canOpenIndex = ({ cipher }: ArchivedObject, sessionKey: string | null): boolean =>
  cipher === 'none' || sessionKey === null;

/**
 * The index of an encrypted image describes the blocks, but not their positions in the object. The positions in an index
 * that the manifest does not mention are not used either: the whole object is read and compared with everything else that
 * is known about it.
 * @returns `null` if there is no index, or none that can be decrypted.
 * @throws SnapError `DIFFERS` if it is damaged or missing, `GPG_KEY`, and the errors of a download.
 */
export async function imageIndexOf(
  object: ArchivedObject,
  snapshotId: string,
  services: ReadContext,
): Promise<ImageIndex | null> {
  if (!object.facts?.index || !canOpenIndex(object, services.sessionKey)) return null;
  const found = await findIndex(object, services);
  if (found.bytes > MAX_BYTES) throw damagedIndex(found.key, 'it is larger than any valid index');
  let body: Buffer = Buffer.alloc(0);
  await fetchIndex(found, snapshotId, services, async () => {
    body = await download(found, services);
    if (found.crc32 === null) await decode(object, found, body, services);
    return crc32(body);
  });
  const index = await decode(object, found, body, services);
  // Places in an encrypted object would be of no use. A version of this program listed those of the plain stream.
  return found.isOfManifest && object.cipher === 'none' ? index : { ...index, pieces: [] };
}

/** The length that an index of the largest possible volume does not reach. */
const MAX_BYTES = 2 ** 30;

const download = ({ key, etag, bytes }: FoundIndex, { store, streams, signal }: ReadContext): Promise<Buffer> =>
  downloadWhole(store.reader(key, etag), bytes, { bucket: store.bucket, streams, signal });

async function decode(
  object: ArchivedObject,
  { key, isOfManifest, crc32: recorded }: FoundIndex,
  body: Buffer,
  { signal }: ReadContext,
): Promise<ImageIndex> {
  const isIntact = isOfManifest && recorded !== null;
  const plain = object.cipher === 'none' ? body : await decryptIndex(object, key, { body, isIntact }, signal);
  return { ...(await readImageIndex(plain, key, signal)), storedBytes: body.length };
}
