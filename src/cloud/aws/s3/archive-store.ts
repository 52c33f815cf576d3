/** The bucket in S3, or in a store that is compatible with S3. */
import { SnapError } from '../../../errors.ts';
import { now } from '../../../lib/clock.ts';
import type { ArchiveStore, ObjectHead, ObjectReader } from '../../ports.ts';
import { answeredAt } from '../clients.ts';
import { fromTagList } from '../ec2/tag-list.ts';
import { isAwsError } from '../errors.ts';
import {
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  type HeadBucketCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  paginateListObjectsV2,
  type S3Client,
} from '../sdk.ts';
import { bucketCalls, missingBucket } from './bucket-calls.ts';
import { listUploads } from './list-uploads.ts';
import { s3LockChecks } from './lock-checks.ts';
import { s3PartStore } from './part-store.ts';
import { s3SmallObjects } from './small-objects.ts';
import { bucketArguments, type S3Clients, type StoreSettings } from './store-settings.ts';
import { s3Thaw } from './thaw.ts';

export function s3ArchiveStore(clients: S3Clients, settings: StoreSettings): ArchiveStore {
  const client = clients.control;
  const bucket = bucketArguments(settings);
  const { at, translateErrors, translateHeadErrors } = bucketCalls(client, bucket);
  return {
    bucket: settings.bucket,
    creationSettings: [settings.storageClass, settings.sse, settings.sseKmsKeyId].join(' '),

    check: ({ signal }) =>
      translateHeadErrors(`use bucket ${settings.bucket}`, signal, async () => {
        const answer = await headBucket(client, bucket, signal);
        return { region: answer.BucketRegion ?? null, answeredAt: answeredAt(answer) ?? now() };
      }),

    ...s3SmallObjects(client, settings),

    ...s3Thaw(client, settings),

    ...s3LockChecks(client, settings),

    object: (facts, { storageClass = settings.storageClass, mustBeNew = false } = {}) =>
      s3PartStore(clients, { ...settings, storageClass }, { facts, mustBeNew }),

    head: (key, { signal }) =>
      translateHeadErrors(`read the metadata of ${at(key)}`, signal, async () => {
        try {
          const command = new HeadObjectCommand({ ...bucket, Key: key, ChecksumMode: 'ENABLED' });
          return toHead(key, await client.send(command, { abortSignal: signal }));
        } catch (error) {
          if (isAwsError(error, 'NotFound', 'NoSuchKey')) return null;
          throw error;
        }
      }),

    tags: (key, { signal }) =>
      translateErrors(`read the tags of ${at(key)}`, signal, async () => {
        try {
          const command = new GetObjectTaggingCommand({ ...bucket, Key: key });
          return fromTagList((await client.send(command, { abortSignal: signal })).TagSet);
        } catch (error) {
          if (isAwsError(error, 'NotFound', 'NoSuchKey', 'NotImplemented')) return {};
          throw error;
        }
      }),

    ...listings(client, bucket),

    reader: (key, etag) => objectReader(client, { ...bucket, Key: key, IfMatch: etag }),
  };
}

function listings(
  client: S3Client,
  bucket: ReturnType<typeof bucketArguments>,
): Pick<ArchiveStore, 'list' | 'objects' | 'unfinishedUploads'> {
  const { at, translateErrors } = bucketCalls(client, bucket);
  return {
    list: (prefix, { signal }) =>
      translateErrors(`list ${at(prefix)}`, signal, async () => {
        const keys: string[] = [];
        const pages = paginateListObjectsV2({ client }, { ...bucket, Prefix: prefix }, { abortSignal: signal });
        for await (const { Contents = [] } of pages) keys.push(...Contents.flatMap(({ Key }) => Key ?? []));
        return keys;
      }),

    async *objects(prefix, { signal }) {
      const pages = paginateListObjectsV2({ client }, { ...bucket, Prefix: prefix }, { abortSignal: signal });
      const nextPage = () => translateErrors(`list ${at(prefix)}`, signal, () => pages.next());
      for (let page = await nextPage(); !page.done; page = await nextPage()) {
        for (const { Key = '', ETag = '', Size = 0, StorageClass = 'STANDARD', LastModified } of page.value.Contents ??
          []) {
          yield { key: Key, etag: ETag, bytes: Size, storageClass: StorageClass, modifiedAt: LastModified ?? now() };
        }
      }
    },

    unfinishedUploads: (prefix, { signal }) =>
      translateErrors(`list unfinished uploads of ${at(prefix)}`, signal, () =>
        listUploads(client, bucket, prefix, signal),
      ),
  };
}

const toHead = (key: string, answer: HeadObjectCommandOutput): ObjectHead => ({
  key,
  etag: answer.ETag ?? '',
  bytes: answer.ContentLength ?? 0,
  storageClass: answer.StorageClass ?? 'STANDARD',
  modifiedAt: answer.LastModified ?? now(),
  metadata: answer.Metadata ?? {},
  crc32: answer.ChecksumType === 'COMPOSITE' ? null : (answer.ChecksumCRC32 ?? null),
  restore: restoreState(answer),
  ...lockOf(answer),
});

function lockOf(answer: HeadObjectCommandOutput): Pick<ObjectHead, 'lockedUntil' | 'lockMode'> {
  const { ObjectLockMode: mode, ObjectLockRetainUntilDate: until } = answer;
  if (mode === undefined || until === undefined) return { lockedUntil: null, lockMode: null };
  return { lockedUntil: until, lockMode: mode };
}

/** Source: "Restoring an archived object" of the S3 user guide. Intelligent-Tiering has archive tiers of its own. */
function restoreState({ StorageClass, ArchiveStatus, Restore }: HeadObjectCommandOutput): ObjectHead['restore'] {
  const isArchived = StorageClass === 'GLACIER' || StorageClass === 'DEEP_ARCHIVE' || ArchiveStatus !== undefined;
  if (!isArchived) return 'not-needed';
  if (Restore === undefined) return 'needed';
  return Restore.includes('ongoing-request="true"') ? 'ongoing' : 'restored';
}

function objectReader(client: S3Client, object: { Bucket: string; Key: string; IfMatch: string }): ObjectReader {
  const { at, translateErrors } = bucketCalls(client, object);
  return {
    key: object.Key,
    read: (start, end, { signal }) =>
      translateErrors(`read ${at(object.Key)}`, signal, async () => {
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

/** A response to HEAD has no error document, so a missing bucket shows only as a status. */
export async function headBucket(
  client: S3Client,
  bucket: ReturnType<typeof bucketArguments>,
  abortSignal: AbortSignal,
): Promise<HeadBucketCommandOutput> {
  try {
    return await client.send(new HeadBucketCommand(bucket), { abortSignal });
  } catch (error) {
    throw isAwsError(error, 'NotFound', 'NoSuchBucket') ? missingBucket(bucket.Bucket, error) : error;
  }
}
