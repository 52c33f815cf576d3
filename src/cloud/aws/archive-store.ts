/** The bucket, on S3 or a store that speaks its protocol. */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  paginateListObjectsV2,
  type S3Client,
  type ServerSideEncryption,
} from '@aws-sdk/client-s3';
import { SnapError } from '../../errors.ts';
import { now } from '../../lib/clock.ts';
import type { ArchiveStore, ObjectFacts, ObjectHead, ObjectReader, UnfinishedUpload } from '../ports.ts';
import { answeredAt } from './clients.ts';
import { asking, isAwsError } from './errors.ts';
import { s3PartStore } from './part-store.ts';

export interface StoreSettings {
  bucket: string;
  /** For data objects; small ones stay in Standard, where they can be read without a restore. */
  storageClass: string;
  sse?: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  sseKmsKeyId?: string;
  expectedBucketOwner?: string;
  /** Stores that are not S3 itself may forget tags that come with the start of an upload. */
  tagAgain: boolean;
}

/** Two clients that differ in how long they wait for an answer. */
export interface S3Clients {
  control: S3Client;
  transfer: S3Client;
}

export function s3ArchiveStore(clients: S3Clients, settings: StoreSettings): ArchiveStore {
  const client = clients.control;
  const bucket = bucketArguments(settings);
  return {
    bucket: settings.bucket,
    creation: [settings.storageClass, settings.sse, settings.sseKmsKeyId].join(' '),

    check: ({ signal }) =>
      asking(`use bucket ${settings.bucket}`, signal, async () => {
        const answer = await client.send(new HeadBucketCommand(bucket), { abortSignal: signal }).catch(explainBucket);
        return { region: answer.BucketRegion ?? null };
      }),

    object: (facts) => s3PartStore(clients, settings, facts),

    putSmall: (facts, body, replaces, { signal }) =>
      asking(`write ${facts.key}`, signal, async () => {
        const command = new PutObjectCommand({
          ...creationArguments(settings, facts),
          Body: body,
          ChecksumAlgorithm: 'CRC32',
          ContentType: 'application/json',
          ...(replaces === null ? { IfNoneMatch: '*' } : { IfMatch: replaces }),
        });
        const answer = await client
          .send(command)
          .catch((error) => foundOurs(client, { ...bucket, Key: facts.key }, body, error));
        return {
          key: facts.key,
          etag: answer.ETag ?? '',
          bytes: body.length,
          versionId: answer.VersionId ?? null,
          checksum: null,
        };
      }),

    head: (key, { signal }) =>
      asking(`look at ${key}`, signal, async () => {
        try {
          const command = new HeadObjectCommand({ ...bucket, Key: key, ChecksumMode: 'ENABLED' });
          return toHead(key, await client.send(command, { abortSignal: signal }));
        } catch (error) {
          if (isAwsError(error, 'NotFound', 'NoSuchKey')) return null;
          throw error;
        }
      }),

    list: (prefix, { signal }) =>
      asking(`list ${prefix}`, signal, async () => {
        const keys: string[] = [];
        const pages = paginateListObjectsV2({ client }, { ...bucket, Prefix: prefix }, { abortSignal: signal });
        for await (const { Contents = [] } of pages) keys.push(...Contents.flatMap(({ Key }) => Key ?? []));
        return keys;
      }),

    reader: (key, etag) => objectReader(clients.transfer, { ...bucket, Key: key, IfMatch: etag }),

    getSmall: (key, { signal }) =>
      asking(`read ${key}`, signal, async () => {
        const answer = await client.send(new GetObjectCommand({ ...bucket, Key: key }), { abortSignal: signal });
        const body = Buffer.from((await answer.Body?.transformToByteArray()) ?? EMPTY);
        const modifiedAt = answer.LastModified ?? now();
        return { etag: answer.ETag ?? '', body, modifiedAt, answeredAt: answeredAt(answer) ?? modifiedAt };
      }),

    removeIf: (key, etag, { signal }) =>
      asking(`remove ${key}`, signal, async () => {
        try {
          await client.send(new DeleteObjectCommand({ ...bucket, Key: key, IfMatch: etag }));
        } catch (error) {
          if (!isAwsError(error, 'PreconditionFailed', 'NoSuchKey', 'ConditionalRequestConflict')) throw error;
        }
      }),

    unfinishedUploads: (prefix, { signal }) =>
      asking(`list unfinished uploads of ${prefix}`, signal, () => listUploads(client, bucket, prefix, signal)),
  };
}

async function listUploads(
  client: S3Client,
  bucket: ReturnType<typeof bucketArguments>,
  Prefix: string,
  abortSignal: AbortSignal,
): Promise<UnfinishedUpload[]> {
  const found: UnfinishedUpload[] = [];
  let markers: { KeyMarker?: string; UploadIdMarker?: string } | null = {};
  while (markers) {
    const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({ ...bucket, Prefix, ...markers });
    const page = await client.send(command, { abortSignal });
    for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? []) {
      found.push({ key: Key, uploadId: UploadId, initiatedAt: Initiated ?? now() });
    }
    const { NextKeyMarker = '', NextUploadIdMarker = '' } = page;
    markers = page.IsTruncated ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker } : null;
  }
  return found;
}

const toHead = (key: string, answer: HeadObjectCommandOutput): ObjectHead => ({
  key,
  etag: answer.ETag ?? '',
  bytes: answer.ContentLength ?? 0,
  storageClass: answer.StorageClass ?? 'STANDARD',
  metadata: answer.Metadata ?? {},
  crc32: answer.ChecksumType === 'COMPOSITE' ? null : (answer.ChecksumCRC32 ?? null),
  restore: restoreState(answer),
});

/** Source: "Restoring an archived object" of the S3 user guide; Intelligent-Tiering has archive tiers of its own. */
function restoreState({ StorageClass, ArchiveStatus, Restore }: HeadObjectCommandOutput): ObjectHead['restore'] {
  const isArchived = StorageClass === 'GLACIER' || StorageClass === 'DEEP_ARCHIVE' || ArchiveStatus !== undefined;
  if (!isArchived) return 'not-needed';
  if (Restore === undefined) return 'needed';
  return Restore.includes('ongoing-request="true"') ? 'ongoing' : 'restored';
}

function objectReader(client: S3Client, object: { Bucket: string; Key: string; IfMatch: string }): ObjectReader {
  return {
    key: object.Key,
    read: (start, end, { signal }) =>
      asking(`read ${object.Key}`, signal, async () => {
        const command = new GetObjectCommand({ ...object, Range: `bytes=${start}-${end - 1}` });
        try {
          const { Body } = await client.send(command, { abortSignal: signal });
          return Body as unknown as AsyncIterable<Uint8Array>;
        } catch (error) {
          if (isAwsError(error, 'PreconditionFailed')) throw replaced(object.Key, error);
          throw error;
        }
      }),
  };
}

const replaced = (key: string, cause: unknown): SnapError =>
  new SnapError('ARCHIVE_EXISTS', `${key} was replaced while it was being read`, {
    hint: 'wait until the run that writes it has ended, then run the command again',
    cause,
  });

export const bucketArguments = (settings: StoreSettings) => ({
  Bucket: settings.bucket,
  ...(settings.expectedBucketOwner === undefined ? {} : { ExpectedBucketOwner: settings.expectedBucketOwner }),
});

/** What every new object is created with, whether in parts or at once. */
export const creationArguments = (settings: StoreSettings, facts: ObjectFacts) =>
  ({
    ...bucketArguments(settings),
    Key: facts.key,
    Metadata: facts.metadata,
    ContentType: 'application/octet-stream',
    ...(Object.keys(facts.tags).length === 0 ? {} : { Tagging: taggingHeader(facts.tags) }),
    ...(settings.sse === undefined ? {} : { ServerSideEncryption: settings.sse as ServerSideEncryption }),
    ...(settings.sseKmsKeyId === undefined ? {} : { SSEKMSKeyId: settings.sseKmsKeyId }),
  }) satisfies Partial<PutObjectCommandInput>;

/** Percent-encoded, blanks too: some stores take `+` literally. */
const taggingHeader = (tags: Record<string, string>): string =>
  Object.entries(tags)
    .map((pair) => pair.map(encodeURIComponent).join('='))
    .join('&');

/** HEAD carries no error document, so that S3 can only say a number. */
function explainBucket(error: unknown): never {
  if (isAwsError(error, 'NotFound', 'NoSuchBucket')) {
    throw new SnapError('BUCKET', 'the bucket does not exist', {
      hint: 'create it first: snap-to-s3 does not',
      cause: error,
    });
  }
  throw error;
}

/**
 * A refused condition can be the echo of our own write: its answer was lost, and the retry met what it had written.
 * @throws SnapError `ARCHIVE_EXISTS` when it is somebody else's.
 */
async function foundOurs(client: S3Client, object: { Bucket: string; Key: string }, body: Buffer, error: unknown) {
  if (!isAwsError(error, 'PreconditionFailed', 'ConditionalRequestConflict')) throw error;
  const there = await client.send(new GetObjectCommand(object)).catch(() => null);
  if (there?.ContentLength === body.length && body.equals((await there.Body?.transformToByteArray()) ?? EMPTY)) {
    return there;
  }
  throw new SnapError('ARCHIVE_EXISTS', `another run has written ${object.Key} meanwhile`, {
    hint: 'run the command again: it looks at what is there now',
    cause: error,
  });
}

const EMPTY = Buffer.alloc(0);
