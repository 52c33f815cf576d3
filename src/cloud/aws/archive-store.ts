/** The bucket, on S3 or a store that speaks its protocol. */
import {
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  type ServerSideEncryption,
} from '@aws-sdk/client-s3';
import { SnapError } from '../../errors.ts';
import type { ArchiveStore, ObjectFacts } from '../ports.ts';
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
          const answer = await client.send(new HeadObjectCommand({ ...bucket, Key: key }), { abortSignal: signal });
          return { etag: answer.ETag ?? '', bytes: answer.ContentLength ?? 0 };
        } catch (error) {
          if (isAwsError(error, 'NotFound', 'NoSuchKey')) return null;
          throw error;
        }
      }),
  };
}

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
