/** Completes multipart uploads, and finds out the outcome if there is no clear answer. */
import { createHash } from 'node:crypto';
import { SnapError } from '../../../errors.ts';
import { type Crc32, decodeCrc32, encodeCrc32, joinCrc32 } from '../../../lib/bytes/crc32.ts';
import type { PartReceipt, StoredObject } from '../../ports.ts';
import { isAwsError } from '../errors.ts';
import { inquirySignal } from '../grace.ts';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  HeadObjectCommand,
  type S3Client,
} from '../sdk.ts';

export interface ObjectAddress {
  Bucket: string;
  Key: string;
  ExpectedBucketOwner?: string;
}

interface Completion {
  object: ObjectAddress;
  uploadId: string;
  receipts: readonly PartReceipt[];
  totalBytes: number;
  mustBeNew: boolean;
}

/** If the call is canceled, S3 may have completed the upload. The failure is thrown only if it has not. */
export async function completeOrFind(
  client: S3Client,
  completion: Completion,
  abortSignal: AbortSignal,
): Promise<StoredObject> {
  const { object, uploadId, receipts, totalBytes, mustBeNew } = completion;
  const command = new CompleteMultipartUploadCommand({
    ...object,
    UploadId: uploadId,
    ChecksumType: 'FULL_OBJECT',
    ChecksumCRC32: wholeChecksum(receipts),
    MpuObjectSize: totalBytes,
    MultipartUpload: { Parts: receipts.map(toCompletedPart) },
    ...(mustBeNew ? { IfNoneMatch: '*' } : {}),
  });
  try {
    const answer = await client.send(command, { abortSignal });
    return stored(object.Key, answer.ETag ?? '', totalBytes, answer.VersionId, answer.ChecksumCRC32);
  } catch (error) {
    const inquiry = inquirySignal(abortSignal);
    if (isAwsError(error, 'PreconditionFailed', 'ConditionalRequestConflict')) {
      return acceptOwnObject(client, completion, error, inquiry);
    }
    const found = await findCompleted(client, completion, inquiry).catch(() => null);
    if (found) return found;
    throw error;
  }
}

/**
 * The condition also fails if our own completion succeeded, its response was lost, and the retry found the object. If
 * another run has stored the same bytes, this upload still exists.
 * @throws SnapError `ARCHIVE_EXISTS` if the object has other bytes.
 */
async function acceptOwnObject(
  client: S3Client,
  completion: Completion,
  cause: unknown,
  abortSignal: AbortSignal,
): Promise<StoredObject> {
  const { object, uploadId } = completion;
  const found = await findCompleted(client, completion, abortSignal).catch((error: unknown) => {
    if (isAwsError(error, 'NotFound')) return null;
    throw error;
  });
  if (!found) {
    throw new SnapError('ARCHIVE_EXISTS', `another run has written s3://${object.Bucket}/${object.Key}`, {
      hint: 'run the command again: it starts from the current state of the bucket',
      cause,
    });
  }
  await abortUpload(client, object, uploadId, abortSignal);
  return found;
}

const toCompletedPart = (receipt: PartReceipt) => ({
  PartNumber: receipt.number,
  ETag: receipt.etag,
  ...(receipt.checksum === undefined ? {} : { ChecksumCRC32: receipt.checksum }),
});

function wholeChecksum(receipts: readonly PartReceipt[]): string {
  const parts = receipts.map((receipt): Crc32 => {
    if (receipt.checksum === undefined) throw new SnapError('BUG', `part ${receipt.number} has no checksum`);
    return { value: decodeCrc32(receipt.checksum), bytes: receipt.bytes };
  });
  return encodeCrc32(parts.reduce(joinCrc32).value);
}

/**
 * S3 may complete an upload although its response is lost. If the object has the length and the ETag of our parts, it
 * is ours: the ETag of a multipart object is the MD5 of the MD5s of its parts, followed by their number.
 */
async function findCompleted(
  client: S3Client,
  { object, receipts, totalBytes }: Completion,
  abortSignal: AbortSignal,
): Promise<StoredObject | null> {
  const answer = await client.send(new HeadObjectCommand(object), { abortSignal });
  if (answer.ContentLength !== totalBytes || answer.ETag !== expectedETag(receipts)) return null;
  return stored(object.Key, answer.ETag, totalBytes, answer.VersionId, wholeChecksum(receipts));
}

function expectedETag(receipts: readonly PartReceipt[]): string {
  const hash = createHash('md5');
  for (const { etag } of receipts) hash.update(Buffer.from(etag.replaceAll('"', ''), 'hex'));
  return `"${hash.digest('hex')}-${receipts.length}"`;
}

const stored = (
  key: string,
  etag: string,
  bytes: number,
  versionId: string | undefined,
  crc32: string | undefined,
): StoredObject => ({
  key,
  etag,
  bytes,
  versionId: versionId ?? null,
  checksum: crc32 === undefined ? null : { algorithm: 'CRC32', type: 'FULL_OBJECT', value: crc32 },
});

/** An upload that no longer exists counts as aborted. */
export async function abortUpload(
  client: S3Client,
  object: ObjectAddress,
  UploadId: string,
  abortSignal: AbortSignal,
): Promise<void> {
  try {
    await client.send(new AbortMultipartUploadCommand({ ...object, UploadId }), { abortSignal });
  } catch (error) {
    if (!isAwsError(error, 'NoSuchUpload')) throw error;
  }
}
