/** Determines the operation of a request, and the actions that the caller must be allowed. */
import type { IncomingHttpHeaders } from 'node:http';
import * as buckets from './buckets/buckets.ts';
import * as lifecycle from './buckets/lifecycle.ts';
import * as objectLock from './buckets/object-lock.ts';
import { completeMultipartUpload } from './complete-upload.ts';
import * as copying from './copying.ts';
import * as deleting from './deleting.ts';
import type { Operation } from './exchange.ts';
import { RESPONSE_HEADERS } from './head-fields.ts';
import { listObjects, listObjectsV2 } from './lists/keys.ts';
import { listMultipartUploads, listParts } from './lists/uploads.ts';
import { listObjectVersions } from './lists/versions.ts';
import * as retention from './locks/retention.ts';
import * as multipart from './multipart.ts';
import * as objects from './objects.ts';
import * as reading from './read-object.ts';
import * as tagging from './tagging.ts';

export interface Route {
  operation: string;
  run: Operation;
  /** The required IAM actions on the bucket or on the object. */
  actions: readonly string[];
}

type Target = 'account' | 'bucket' | 'object';

interface Pattern extends Route {
  method: string;
  target: Target;
  /** The required query parameters. */
  query: readonly string[];
  /** A required header. */
  header?: string;
}

const pattern = (
  route: `${string} ${Target}`,
  query: string[],
  operation: string,
  run: Operation,
  ...actions: string[]
): Pattern => {
  const [method, target] = route.split(' ') as [string, Target];
  return { method, target, query, operation, run, actions };
};

/** A request that names a version needs another permission. */
const ofVersion = (plain: Pattern, action: string): Pattern[] => [
  { ...plain, query: [...plain.query, 'versionId'], actions: [action] },
  plain,
];

/** The permission does not depend on whether a version is named. */
const ofEachVersion = (route: `${string} object`, query: string[], operation: string, run: Operation): Pattern[] =>
  ofVersion(pattern(route, query, operation, run, `s3:${operation}`), `s3:${operation}`);

/** Routes with more query parameters, and those with a header, come first. */
const PATTERNS: readonly Pattern[] = [
  pattern('GET account', [], 'ListBuckets', buckets.listBuckets, 's3:ListAllMyBuckets'),
  pattern('GET bucket', ['location'], 'GetBucketLocation', buckets.getBucketLocation, 's3:GetBucketLocation'),
  pattern('GET bucket', ['versioning'], 'GetBucketVersioning', buckets.getBucketVersioning, 's3:GetBucketVersioning'),
  pattern(
    'GET bucket',
    ['object-lock'],
    'GetObjectLockConfiguration',
    objectLock.getObjectLockConfiguration,
    's3:GetBucketObjectLockConfiguration',
  ),
  pattern('PUT bucket', ['versioning'], 'PutBucketVersioning', buckets.putBucketVersioning, 's3:PutBucketVersioning'),
  pattern(
    'PUT bucket',
    ['object-lock'],
    'PutObjectLockConfiguration',
    objectLock.putObjectLockConfiguration,
    's3:PutBucketObjectLockConfiguration',
  ),
  pattern(
    'GET bucket',
    ['lifecycle'],
    'GetBucketLifecycleConfiguration',
    lifecycle.getBucketLifecycle,
    's3:GetLifecycleConfiguration',
  ),
  pattern(
    'PUT bucket',
    ['lifecycle'],
    'PutBucketLifecycleConfiguration',
    lifecycle.putBucketLifecycle,
    's3:PutLifecycleConfiguration',
  ),
  pattern(
    'DELETE bucket',
    ['lifecycle'],
    'DeleteBucketLifecycle',
    lifecycle.deleteBucketLifecycle,
    's3:PutLifecycleConfiguration',
  ),
  pattern('GET bucket', ['versions'], 'ListObjectVersions', listObjectVersions, 's3:ListBucketVersions'),
  pattern('GET bucket', ['uploads'], 'ListMultipartUploads', listMultipartUploads, 's3:ListBucketMultipartUploads'),
  pattern('GET bucket', ['list-type'], 'ListObjectsV2', listObjectsV2, 's3:ListBucket'),
  pattern('POST bucket', ['delete'], 'DeleteObjects', deleting.deleteObjects, 's3:DeleteObject'),
  pattern('HEAD bucket', [], 'HeadBucket', buckets.headBucket, 's3:ListBucket'),
  pattern('PUT bucket', [], 'CreateBucket', buckets.createBucket, 's3:CreateBucket'),
  pattern('DELETE bucket', [], 'DeleteBucket', buckets.deleteBucket, 's3:DeleteBucket'),
  pattern('GET bucket', [], 'ListObjects', listObjects, 's3:ListBucket'),
  ...ofVersion(
    pattern('GET object', ['tagging'], 'GetObjectTagging', tagging.getObjectTagging, 's3:GetObjectTagging'),
    's3:GetObjectVersionTagging',
  ),
  ...ofVersion(
    pattern('PUT object', ['tagging'], 'PutObjectTagging', tagging.putObjectTagging, 's3:PutObjectTagging'),
    's3:PutObjectVersionTagging',
  ),
  ...ofVersion(
    pattern('DELETE object', ['tagging'], 'DeleteObjectTagging', tagging.deleteObjectTagging, 's3:DeleteObjectTagging'),
    's3:DeleteObjectVersionTagging',
  ),
  ...ofEachVersion('GET object', ['retention'], 'GetObjectRetention', retention.getObjectRetention),
  ...ofEachVersion('PUT object', ['retention'], 'PutObjectRetention', retention.putObjectRetention),
  ...ofEachVersion('GET object', ['legal-hold'], 'GetObjectLegalHold', retention.getObjectLegalHold),
  ...ofEachVersion('PUT object', ['legal-hold'], 'PutObjectLegalHold', retention.putObjectLegalHold),
  ...ofVersion(
    pattern('GET object', ['attributes'], 'GetObjectAttributes', reading.getObjectAttributes, 's3:GetObject'),
    's3:GetObjectVersion',
  ),
  ...ofVersion(
    pattern('POST object', ['restore'], 'RestoreObject', objects.restoreObject, 's3:RestoreObject'),
    's3:RestoreObject',
  ),
  pattern('POST object', ['uploads'], 'CreateMultipartUpload', multipart.createMultipartUpload, 's3:PutObject'),
  {
    ...pattern('PUT object', ['uploadId', 'partNumber'], 'UploadPartCopy', copying.uploadPartCopy, 's3:PutObject'),
    header: 'x-amz-copy-source',
  },
  pattern('PUT object', ['uploadId', 'partNumber'], 'UploadPart', multipart.uploadPart, 's3:PutObject'),
  pattern('POST object', ['uploadId'], 'CompleteMultipartUpload', completeMultipartUpload, 's3:PutObject'),
  pattern(
    'DELETE object',
    ['uploadId'],
    'AbortMultipartUpload',
    multipart.abortMultipartUpload,
    's3:AbortMultipartUpload',
  ),
  pattern('GET object', ['uploadId'], 'ListParts', listParts, 's3:ListMultipartUploadParts'),
  {
    ...pattern('PUT object', [], 'CopyObject', copying.copyObject, 's3:PutObject'),
    header: 'x-amz-copy-source',
  },
  pattern('PUT object', [], 'PutObject', objects.putObject, 's3:PutObject'),
  ...ofVersion(pattern('GET object', [], 'GetObject', reading.getObject, 's3:GetObject'), 's3:GetObjectVersion'),
  ...ofVersion(pattern('HEAD object', [], 'HeadObject', reading.headObject, 's3:GetObject'), 's3:GetObjectVersion'),
  ...ofVersion(
    pattern('DELETE object', [], 'DeleteObject', deleting.deleteObject, 's3:DeleteObject'),
    's3:DeleteObjectVersion',
  ),
];

/** Parameters that do not determine the operation. Any other unexpected parameter means an unsupported operation. */
const HARMLESS = new Set([
  ...RESPONSE_HEADERS,
  'x-id',
  'list-type',
  'prefix',
  'delimiter',
  'max-keys',
  'marker',
  'continuation-token',
  'start-after',
  'fetch-owner',
  'encoding-type',
  'max-parts',
  'part-number-marker',
  'max-uploads',
  'key-marker',
  'version-id-marker',
  'upload-id-marker',
  'partNumber',
  'max-buckets',
]);

/** Parameters of presigned URLs, and those that SDKs add. */
const SIGNATURE =
  /^x-amz-(algorithm|credential|date|expires|signedheaders|signature|security-token|content-sha256|user-agent|checksum-mode|sdk-checksum-algorithm)$/i;

/** Headers of unsupported features: ACLs, customer keys, redirects, appending, versions, conditions on dates. */
const UNKNOWN_HEADERS =
  /^x-amz-(acl|grant-.*|.*server-side-encryption-customer-.*|website-redirect-location|write-offset-bytes|mfa|copy-source-if-(un)?modified-since|if-match-.*|rename-source.*)$/;

interface Asked {
  method: string;
  bucket: string;
  key: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
}

/** @returns `null` for operations of S3 that this server does not support, so that they are not mistaken for others. */
export function routeOf({ method, bucket, key, query, headers }: Asked): Route | null {
  if (Object.keys(headers).some((name) => UNKNOWN_HEADERS.test(name))) return null;
  const target: Target = bucket === '' ? 'account' : key === '' ? 'bucket' : 'object';
  const found = PATTERNS.find(
    (candidate) =>
      candidate.method === method &&
      candidate.target === target &&
      candidate.query.every((name) => query.has(name)) &&
      (candidate.header === undefined || headers[candidate.header] !== undefined),
  );
  if (!found) return null;
  const isWhole = method === 'GET' || method === 'HEAD' || !query.has('partNumber') || query.has('uploadId');
  const isUnknown = [...query.keys()].some(
    (name) => !HARMLESS.has(name) && !found.query.includes(name) && !SIGNATURE.test(name),
  );
  return isUnknown || !isWhole ? null : found;
}
