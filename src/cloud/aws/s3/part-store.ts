/** Writes one large object with a multipart upload. */
import { createHash } from 'node:crypto';
import { SnapError } from '../../../errors.ts';
import { type Crc32, crc32Of, decodeCrc32, encodeCrc32, joinCrc32 } from '../../../lib/bytes/crc32.ts';
import { monotonic } from '../../../lib/clock.ts';
import { cleanupSignal } from '../../../lib/disposal.ts';
import type { ObjectFacts, PartReceipt, PartStore, StoredObject } from '../../ports.ts';
import { isAwsError } from '../errors.ts';
import { COMPLETION_GRACE, inquirySignal, withGrace } from '../grace.ts';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListPartsCommand,
  type ListPartsCommandOutput,
  PutObjectTaggingCommand,
  type S3Client,
  type Part as S3Part,
  type StorageClass,
  UploadPartCommand,
} from '../sdk.ts';
import { bucketCalls } from './bucket-calls.ts';
import { listUploads } from './list-uploads.ts';
import { bucketArguments, creationArguments, type S3Clients, type StoreSettings } from './store-settings.ts';

/**
 * Each part is sent with its CRC-32, which S3 verifies. The completion states the CRC-32 of the whole object, combined
 * from those of the parts, and its length. S3 therefore rejects an object that is not exactly what was sent.
 */
export function s3PartStore(
  clients: S3Clients,
  settings: StoreSettings,
  facts: ObjectFacts,
  grace = COMPLETION_GRACE,
): PartStore {
  const { key } = facts;
  const client = clients.transfer;
  const object = { ...bucketArguments(settings), Key: key };
  const { at, translateErrors } = bucketCalls(clients.control, bucketArguments(settings));
  const address = at(key);
  return {
    create: ({ signal }) =>
      translateErrors(`start the upload of ${address}`, signal, async () => {
        const command = new CreateMultipartUploadCommand({
          ...creationArguments(settings, facts),
          StorageClass: settings.storageClass as StorageClass,
          ChecksumAlgorithm: 'CRC32',
          ChecksumType: 'FULL_OBJECT',
        });
        return startUpload(clients.control, object, command);
      }),

    putPart: (uploadId, number, bytes, { signal }) =>
      translateErrors(`upload part ${number} of ${address}`, signal, async () => {
        return sendPart(client, { ...object, UploadId: uploadId, PartNumber: number }, bytes, signal);
      }),

    complete: (uploadId, receipts, totalBytes, { signal }) =>
      translateErrors(`complete the upload of ${address}`, signal, async () => {
        const completion = { object, uploadId, receipts, totalBytes };
        return withGrace(signal, grace, async (late) => {
          const done = await completeOrFind(client, completion, late);
          if (settings.tagAfterUpload) await tag(clients.control, object, facts.tags, late);
          return done;
        });
      }),

    parts: (uploadId, { signal }) =>
      translateErrors(`list the parts of ${address}`, signal, async () => {
        try {
          return await listParts(clients.control, { ...object, UploadId: uploadId }, signal);
        } catch (error) {
          if (isAwsError(error, 'NoSuchUpload')) return [];
          throw error;
        }
      }),

    abort: (uploadId, { signal }) =>
      translateErrors(`abort the upload of ${address}`, signal, async () => {
        try {
          await clients.control.send(new AbortMultipartUploadCommand({ ...object, UploadId: uploadId }), {
            abortSignal: signal,
          });
        } catch (error) {
          if (!isAwsError(error, 'NoSuchUpload')) throw error;
        }
      }),
  };
}

/** The call cannot be canceled: an upload whose id is lost could not be aborted. @returns the id of the upload. */
async function startUpload(
  client: S3Client,
  object: ObjectAddress,
  command: CreateMultipartUploadCommand,
): Promise<string> {
  const started = monotonic();
  const { UploadId, $metadata } = await client.send(command);
  if (UploadId === undefined) throw new Error('S3 returned no upload id');
  if (($metadata.attempts ?? 1) > 1) {
    await abortLostUpload(client, object, UploadId, monotonic() - started).catch(() => {});
  }
  return UploadId;
}

async function sendPart(
  client: S3Client,
  part: ObjectAddress & { UploadId: string; PartNumber: number },
  bytes: Buffer,
  abortSignal: AbortSignal,
): Promise<PartReceipt> {
  const checksum = encodeCrc32(crc32Of(bytes).value);
  const command = new UploadPartCommand({
    ...part,
    Body: bytes,
    ContentLength: bytes.length,
    ChecksumCRC32: checksum,
  });
  const { ETag } = await client.send(command, { abortSignal });
  if (ETag === undefined) throw new Error(`S3 returned no ETag for part ${part.PartNumber}`);
  return { number: part.PartNumber, etag: ETag, checksum, bytes: bytes.length };
}

/** Milliseconds by which the times in S3 listings may differ, because they are rounded. */
const LISTED_TIME_ROUNDING = 2000;

/**
 * An attempt whose response was lost has also started an upload, whose id nobody knows. By the clock of the store, it
 * is older than ours by no more than the duration of the call. If it cannot be aborted now, `clean` finds it later.
 */
async function abortLostUpload(client: S3Client, object: ObjectAddress, ours: string, callTook: number): Promise<void> {
  const { Key, ...bucket } = object;
  const abortSignal = cleanupSignal();
  const listed = await listUploads(client, bucket, Key, abortSignal);
  const begun = listed.find(({ uploadId }) => uploadId === ours)?.initiatedAt.getTime();
  if (begun === undefined) return;
  for (const { key, uploadId, initiatedAt } of listed) {
    const ageDifference = begun - initiatedAt.getTime();
    if (key !== Key || uploadId === ours || Math.abs(ageDifference) > callTook + LISTED_TIME_ROUNDING) continue;
    await client.send(new AbortMultipartUploadCommand({ ...object, UploadId: uploadId }), { abortSignal });
  }
}

/** Only `IsTruncated` ends the loop: the last page has a marker, too, and following it would start over. */
async function listParts(
  client: S3Client,
  upload: ObjectAddress & { UploadId: string },
  abortSignal: AbortSignal,
): Promise<PartReceipt[]> {
  const receipts: PartReceipt[] = [];
  let marker: { PartNumberMarker?: string } | null = {};
  while (marker) {
    const page: ListPartsCommandOutput = await client.send(new ListPartsCommand({ ...upload, ...marker }), {
      abortSignal,
    });
    receipts.push(...(page.Parts ?? []).map(toReceipt));
    const { NextPartNumberMarker = '' } = page;
    marker = page.IsTruncated ? { PartNumberMarker: NextPartNumberMarker } : null;
  }
  return receipts;
}

const toReceipt = (part: S3Part): PartReceipt => ({
  number: part.PartNumber ?? 0,
  etag: part.ETag ?? '',
  ...(part.ChecksumCRC32 === undefined ? {} : { checksum: part.ChecksumCRC32 }),
  bytes: part.Size ?? 0,
});

async function tag(
  client: S3Client,
  object: ObjectAddress,
  tags: Record<string, string>,
  abortSignal: AbortSignal,
): Promise<void> {
  if (Object.keys(tags).length === 0) return;
  const TagSet = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  await client.send(new PutObjectTaggingCommand({ ...object, Tagging: { TagSet } }), { abortSignal });
}

interface ObjectAddress {
  Bucket: string;
  Key: string;
  ExpectedBucketOwner?: string;
}

interface Completion {
  object: ObjectAddress;
  uploadId: string;
  receipts: readonly PartReceipt[];
  totalBytes: number;
}

/** If the call is canceled, S3 may have completed the upload. The failure is thrown only if it has not. */
async function completeOrFind(
  client: S3Client,
  { object, uploadId, receipts, totalBytes }: Completion,
  abortSignal: AbortSignal,
): Promise<StoredObject> {
  const command = new CompleteMultipartUploadCommand({
    ...object,
    UploadId: uploadId,
    ChecksumType: 'FULL_OBJECT',
    ChecksumCRC32: wholeChecksum(receipts),
    MpuObjectSize: totalBytes,
    MultipartUpload: { Parts: receipts.map(toCompletedPart) },
  });
  try {
    const answer = await client.send(command, { abortSignal });
    return stored(object.Key, answer.ETag ?? '', totalBytes, answer.VersionId, answer.ChecksumCRC32);
  } catch (error) {
    const found = await findCompleted(client, { object, receipts, totalBytes }, inquirySignal(abortSignal)).catch(
      () => null,
    );
    if (found) return found;
    throw error;
  }
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
  { object, receipts, totalBytes }: Omit<Completion, 'uploadId'>,
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
