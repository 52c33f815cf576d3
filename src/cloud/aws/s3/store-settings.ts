/** The settings of the store, and the arguments that requests to the bucket share. */
import type { ObjectFacts } from '../../ports.ts';
import type { PutObjectCommandInput, S3Client, ServerSideEncryption } from '../sdk.ts';

export interface StoreSettings {
  bucket: string;
  /** Applies to data objects. Small objects stay in Standard, so that they can be read without a thaw. */
  storageClass: string;
  sse?: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  sseKmsKeyId?: string;
  expectedBucketOwner?: string;
  /** Whether to set the tags again after an upload: some stores other than S3 lose those given at its start. */
  tagAfterUpload: boolean;
}

/** Two clients that differ in their timeouts. */
export interface S3Clients {
  control: S3Client;
  transfer: S3Client;
}

export const bucketArguments = (settings: StoreSettings) => ({
  Bucket: settings.bucket,
  ...(settings.expectedBucketOwner === undefined ? {} : { ExpectedBucketOwner: settings.expectedBucketOwner }),
});

/** The arguments that create an object, with or without a multipart upload. */
export const creationArguments = (settings: StoreSettings, facts: ObjectFacts) =>
  ({
    ...bucketArguments(settings),
    Key: facts.key,
    Metadata: facts.metadata,
    ContentType: 'application/octet-stream',
    ...(Object.keys(facts.tags).length === 0 ? {} : { Tagging: taggingHeader(facts.tags) }),
    ...(facts.lock ? { ObjectLockMode: facts.lock.mode, ObjectLockRetainUntilDate: facts.lock.until } : {}),
    ...(settings.sse === undefined ? {} : { ServerSideEncryption: settings.sse as ServerSideEncryption }),
    ...(settings.sseKmsKeyId === undefined ? {} : { SSEKMSKeyId: settings.sseKmsKeyId }),
  }) satisfies Partial<PutObjectCommandInput>;

/** Percent-encodes spaces, too, because some stores take `+` literally. */
const taggingHeader = (tags: Record<string, string>): string =>
  Object.entries(tags)
    .map((pair) => pair.map(encodeURIComponent).join('='))
    .join('&');
