/** Where archives are kept, and what every request to the bucket carries. */
import type { ObjectFacts } from '../../ports.ts';
import type { PutObjectCommandInput, S3Client, ServerSideEncryption } from '../sdk.ts';

export interface StoreSettings {
  bucket: string;
  /** For data objects; small ones stay in Standard, where they can be read without a restore. */
  storageClass: string;
  sse?: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  sseKmsKeyId?: string;
  expectedBucketOwner?: string;
  /** Stores that are not S3 itself may forget tags that come with the start of an upload. */
  tagAfterUpload: boolean;
}

/** Two clients that differ in how long they wait for an answer. */
export interface S3Clients {
  control: S3Client;
  transfer: S3Client;
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
