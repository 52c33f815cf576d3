/** Writes one large object with a multipart upload. */
import { crc32Of, encodeCrc32 } from '../../../lib/bytes/crc32.ts';
import { monotonic } from '../../../lib/clock.ts';
import { cleanupSignal } from '../../../lib/disposal.ts';
import type { ObjectFacts, PartReceipt, PartStore } from '../../ports.ts';
import { isAwsError } from '../errors.ts';
import { COMPLETION_GRACE, withGrace } from '../grace.ts';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  type ListPartsCommandOutput,
  PutObjectTaggingCommand,
  type S3Client,
  type Part as S3Part,
  type StorageClass,
  UploadPartCommand,
} from '../sdk.ts';
import { bucketCalls } from './bucket-calls.ts';
import { abortUpload, completeOrFind, type ObjectAddress } from './completion.ts';
import { listUploads } from './list-uploads.ts';
import { bucketArguments, creationArguments, type S3Clients, type StoreSettings } from './store-settings.ts';

/**
 * Each part is sent with its CRC-32, which S3 verifies. The completion states the CRC-32 of the whole object, combined
 * from those of the parts, and its length. S3 therefore rejects an object that is not exactly what was sent.
 */
export function s3PartStore(
  clients: S3Clients,
  settings: StoreSettings,
  { facts, mustBeNew }: { facts: ObjectFacts; mustBeNew: boolean },
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
        const completion = { object, uploadId, receipts, totalBytes, mustBeNew };
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
      translateErrors(`abort the upload of ${address}`, signal, () =>
        abortUpload(clients.control, object, uploadId, signal),
      ),
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
