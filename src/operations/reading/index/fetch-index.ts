/** Finds an index, and fetches it. Bytes that were damaged in transit are fetched once more. */
import { damagedIndex } from '../../../archive/file-index.ts';
import { decodeCrc32 } from '../../../lib/bytes/crc32.ts';
import type { ArchivedObject } from '../find-archive.ts';
import type { ReadContext } from '../read-context.ts';
import { failedWith, readTwice } from '../read-twice.ts';

export interface FoundIndex {
  key: string;
  etag: string;
  bytes: number;
  /** The checksum in Base64; `null` if the store does not know it. */
  crc32: string | null;
  /** Whether it is the index in the manifest. Positions and facts of any other index must be confirmed by the object. */
  isOfManifest: boolean;
}

/** @throws SnapError `DIFFERS` if it is not in the bucket. */
export async function findIndex(
  { facts }: ArchivedObject,
  { store, signal }: Pick<ReadContext, 'store' | 'signal'>,
): Promise<FoundIndex> {
  const key = facts?.index?.key ?? '';
  const head = await store.head(key, { signal });
  if (!head) throw damagedIndex(key, 'the index is not in the bucket');
  const { etag, bytes, crc32 } = head;
  return { key, etag, bytes, crc32, isOfManifest: etag === facts?.index?.etag };
}

/**
 * @param fetch fetches all bytes, and returns their CRC-32. If the store does not know the CRC-32, it decodes them, too.
 * @throws SnapError `DIFFERS`, and the errors of `fetch`.
 */
export async function fetchIndex(
  { key, crc32 }: FoundIndex,
  snapshotId: string,
  { host }: Pick<ReadContext, 'host'>,
  fetch: () => Promise<number>,
): Promise<void> {
  const fetchOnce = async () => {
    const found = await fetch();
    if (crc32 !== null && decodeCrc32(crc32) !== found)
      throw damagedIndex(key, 'the CRC-32 of its bytes does not match the recorded one');
  };
  await readTwice({ snapshot: snapshotId, key }, host, fetchOnce, failedWith('DIFFERS'));
}
