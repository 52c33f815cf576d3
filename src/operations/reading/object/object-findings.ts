/** The findings about an object, and the comparison of the bytes read with the facts of the store and the manifest. */
import type { ManifestObject } from '../../../archive/manifest.ts';
import { readHeaderValue } from '../../../archive/metadata.ts';
import type { ObjectHead } from '../../../cloud/ports.ts';
import { SnapError } from '../../../errors.ts';
import type { NotKept } from '../../../host/filesystems/not-kept-note.ts';
import { decodeCrc32 } from '../../../lib/bytes/crc32.ts';
import type { Difference } from '../../../streams/difference.ts';
import type { StreamFindings } from '../../../streams/sink-thread.ts';
import type { LeftOut } from '../../../streams/tar/tar-to-files.ts';
import { type Downloaded, type Extent, lengthOf } from '../../../transfer/download.ts';
import type { ArchivedObject } from '../find-archive.ts';

export interface ObjectFindings {
  key: string;
  differences: Difference[];
  /** Includes differences that are not listed. */
  differenceCount: number;
  members: number;
  files: number;
  contentBytes: number;
  plainBytes: number;
  /** Empty if the hash of each file was compared instead. */
  plainSha256: string;
  fetchedBytes: number;
  /** Whether all stored bytes were read unchanged, by their CRC-32; `false` also if the CRC-32 is unknown. */
  isAsStored: boolean;
  seconds: number;
  leftOut: LeftOut;
  /** Requested paths that the archive does not contain. */
  missing: string[];
  /** What a tar cannot hold of the filesystem that the object was compared with. */
  notKept: NotKept[];
}

/** The findings about an object that was not read. */
export const NOTHING_READ: Omit<ObjectFindings, 'key' | 'differences' | 'differenceCount' | 'seconds'> = {
  members: 0,
  files: 0,
  contentBytes: 0,
  plainBytes: 0,
  plainSha256: '',
  fetchedBytes: 0,
  isAsStored: false,
  leftOut: { devices: 0, privileges: 0, times: 0 },
  missing: [],
  notKept: [],
};

const inStoredBytes = (detail: string): Difference => ({ kind: 'stored-bytes', path: '', detail });

/** Compares the head of the object before anything is read. @param head `null` if the object does not exist. */
export function compareHead(head: ObjectHead | null, { facts }: ArchivedObject, snapshotId: string): Difference[] {
  if (!head) return [{ kind: 'not-in-archive', path: '', detail: 'the object is not in the bucket' }];
  const found: Difference[] = [];
  const claimed = readHeaderValue(head.metadata['snapshot-snapshotid'] ?? snapshotId);
  if (claimed !== snapshotId) found.push({ kind: 'wrong-object', path: '', detail: `its metadata names ${claimed}` });
  if (facts && facts.storedBytes !== head.bytes)
    found.push(inStoredBytes(`it has ${head.bytes} bytes, the manifest says ${facts.storedBytes}`));
  return found;
}

/** @throws SnapError `DIFFERS` if the object does not exist, or is not the one of the archive. */
export function assertHeadMatches(
  head: ObjectHead | null,
  object: ArchivedObject,
  snapshotId: string,
): asserts head is ObjectHead {
  const [first] = compareHead(head, object, snapshotId);
  if (!first) return;
  throw new SnapError('DIFFERS', `${object.key}: ${first.detail}`, {
    hint: 'the archive is damaged; look for another copy, or another version of the object',
  });
}

export const hasAllOf = (head: ObjectHead, { bytes, crc32 }: Downloaded): boolean =>
  bytes === head.bytes && head.crc32 !== null && decodeCrc32(head.crc32) === crc32;

/** Compares only the length of a part of an object. Its content is compared with the index. */
export function comparePart(extents: readonly Extent[], { bytes }: Downloaded): Difference[] {
  const wanted = lengthOf(extents);
  return bytes === wanted ? [] : [inStoredBytes(`only ${bytes} of ${wanted} bytes could be read`)];
}

/** Compares the CRC-32 of the stored bytes with that of the manifest or the store. */
export function compareStored({ facts }: ArchivedObject, head: ObjectHead, downloaded: Downloaded): Difference[] {
  const isRead = downloaded.bytes === head.bytes;
  const known =
    facts?.checksum?.algorithm === 'CRC32' && facts.checksum.type === 'FULL_OBJECT' ? facts.checksum.value : head.crc32;
  if (!isRead || known === null || decodeCrc32(known) === downloaded.crc32) return [];
  return [inStoredBytes('the CRC-32 of the stored bytes does not match the recorded one')];
}

/** Compares the plain bytes with the manifest or, without one, with the metadata of the object. */
export const comparePlain = (object: ArchivedObject, head: ObjectHead, plain: StreamFindings): Difference[] =>
  object.facts ? compareWithFacts(object.facts, plain) : compareLength(object, head, plain);

function compareWithFacts(facts: ManifestObject, { plainBytes, plainSha256 }: StreamFindings): Difference[] {
  if (facts.plainBytes !== plainBytes)
    return [inStoredBytes(`it decodes to ${plainBytes} bytes, the manifest says ${facts.plainBytes}`)];
  if (facts.plainSha256 && plainSha256 !== '' && facts.plainSha256 !== plainSha256)
    return [inStoredBytes('the SHA-256 of the plain bytes does not match the manifest')];
  return [];
}

/** Without a manifest, only the metadata has the length of an image. An image that is cut between frames decodes, too. */
function compareLength({ layout }: ArchivedObject, head: ObjectHead, { plainBytes }: StreamFindings): Difference[] {
  const recorded = readHeaderValue(head.metadata['uncompressed-size'] ?? '');
  if (layout !== 'image' || !/^\d+$/.test(recorded) || Number(recorded) === plainBytes) return [];
  return [inStoredBytes(`it decodes to ${plainBytes} bytes, its metadata says ${recorded}`)];
}
