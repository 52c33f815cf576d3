/** The properties that creating an object sets: metadata, tags, class, and headers that S3 returns unchanged. */
import { ServiceError } from '../core/contract.ts';
import type { Exchange } from './exchange.ts';
import { checkedLock, isLockHeader, withRetention } from './locks/rules.ts';
import type { Bucket, ObjectHead, StoredObject } from './store/model.ts';

const CLASSES = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
  'GLACIER',
  'DEEP_ARCHIVE',
]);

const KEPT_HEADERS = [
  'content-type',
  'content-encoding',
  'content-language',
  'content-disposition',
  'cache-control',
  'expires',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-bucket-key-enabled',
  'x-amz-object-lock-mode',
  'x-amz-object-lock-retain-until-date',
  'x-amz-object-lock-legal-hold',
];

/** The limit of names and values together is 2 KB. Source: "Working with object metadata" of the S3 user guide. */
const MAX_METADATA = 2048;

/** @param bucket gets the object. */
export function readHead({ request, context, behaviours }: Exchange, bucket: Bucket): ObjectHead {
  const metadata: Record<string, string> = {};
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (typeof value !== 'string') continue;
    if (name.startsWith('x-amz-meta-')) metadata[name.slice('x-amz-meta-'.length)] = value;
    else if (KEPT_HEADERS.includes(name)) headers[name] = value;
  }
  // The framing of a body is not a property of the object.
  const encoding = (headers['content-encoding'] ?? '')
    .split(/,\s*/)
    .filter((one) => one !== '' && one !== 'aws-chunked');
  if (encoding.length > 0) headers['content-encoding'] = encoding.join(',');
  else delete headers['content-encoding'];
  headers['x-amz-server-side-encryption'] ??= 'AES256';
  checkMetadata(metadata);
  const storageClass = String(request.headers['x-amz-storage-class'] ?? 'STANDARD');
  if (!CLASSES.has(storageClass))
    throw new ServiceError('InvalidStorageClass', 'The storage class you specified is not valid');
  if (
    headers['x-amz-server-side-encryption-aws-kms-key-id'] &&
    !headers['x-amz-server-side-encryption']?.startsWith('aws:kms')
  ) {
    throw new ServiceError(
      'InvalidArgument',
      'Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms',
    );
  }
  const checked = lockHeaders(behaviours, bucket, headers, context.now());
  return { metadata, headers: checked, tags: readTags(String(request.headers['x-amz-tagging'] ?? '')), storageClass };
}

const lockHeaders = (
  behaviours: Exchange['behaviours'],
  bucket: Bucket,
  headers: Record<string, string>,
  now: Date,
): Record<string, string> =>
  checkedLock(bucket, behaviours.has('lock-ignored') ? withRetention(headers, null) : headers, now);

function checkMetadata(metadata: Record<string, string>): void {
  const bytes = Object.entries(metadata).reduce(
    (sum, [name, value]) => sum + name.length + Buffer.byteLength(value),
    0,
  );
  if (bytes > MAX_METADATA)
    throw new ServiceError('MetadataTooLarge', 'Your metadata headers exceed the maximum allowed metadata size');
}

/** Reads the `x-amz-tagging` header, which is a query string. */
function readTags(text: string): Record<string, string> {
  const pairs = [...new URLSearchParams(text)];
  return checkTags(pairs);
}

/** Source: "Categorizing your storage using tags" of the S3 user guide. */
export function checkTags(pairs: readonly (readonly [string, string])[]): Record<string, string> {
  const tags: Record<string, string> = {};
  if (pairs.length > 10) throw new ServiceError('BadRequest', 'Object tags cannot be greater than 10');
  for (const [key, value] of pairs) {
    const good = /^[\p{L}\p{N}\p{Z}+\-=._:/@]*$/u;
    if (
      key === '' ||
      key.length > 128 ||
      value.length > 256 ||
      !good.test(key) ||
      !good.test(value) ||
      /^aws:/i.test(key)
    ) {
      throw new ServiceError('InvalidTag', 'The TagKey or TagValue you have provided is invalid');
    }
    if (Object.hasOwn(tags, key))
      throw new ServiceError('InvalidTag', 'Cannot provide multiple Tags with the same key');
    tags[key] = value;
  }
  return tags;
}

/** The encryption headers of all responses about an object. Since 2023, all objects are encrypted (default: AES256). */
export const encryptionHeaders = ({ headers }: Pick<ObjectHead, 'headers'>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-amz-server-side-encryption')));

/** Response headers that the query sets, for example with `response-content-type`. */
export const askedHeaders = ({ query }: Exchange): Record<string, string> =>
  Object.fromEntries(
    [...query].flatMap(([name, value]) =>
      RESPONSE_HEADERS.includes(name) ? [[name.slice('response-'.length), value]] : [],
    ),
  );

/** Source: GetObject of the S3 API reference. */
export const RESPONSE_HEADERS = [
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
];

/** The headers that describe an object. */
export function objectHeaders(exchange: Exchange, object: StoredObject): Record<string, string> {
  const { storageClass, tags, restore } = object;
  return {
    'content-type': 'binary/octet-stream',
    ...shown(exchange, object),
    etag: object.etag,
    'last-modified': new Date(object.modified).toUTCString(),
    'accept-ranges': 'bytes',
    ...Object.fromEntries(
      Object.entries(object.metadata).map(([name, value]) => [`x-amz-meta-${name}`, presentable(value)]),
    ),
    ...(storageClass === 'STANDARD' ? {} : { 'x-amz-storage-class': storageClass }),
    ...(Object.keys(tags).length === 0 ? {} : { 'x-amz-tagging-count': String(Object.keys(tags).length) }),
    ...(restore ? { 'x-amz-restore': restoreHeader(restore, exchange.context.now()) } : {}),
  };
}

/** Callers without the permission to read the retention do not see it. */
function shown({ context, signed, bucketName }: Exchange, { key, headers }: StoredObject): Record<string, string> {
  const resources = [`arn:aws:s3:::${bucketName}/${key}`];
  if (context.allowed(signed.caller, { action: 's3:GetObjectRetention', resources })) return headers;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !isLockHeader(name)));
}

/** Node reads header bytes as Latin-1. Like S3, this returns UTF-8 beyond ASCII encoded (RFC 2047). */
function presentable(value: string): string {
  return /^[\x20-\x7e]*$/.test(value) ? value : `=?UTF-8?B?${Buffer.from(value, 'latin1').toString('base64')}?=`;
}

const restoreHeader = (restore: { readyAt: string; expires: string }, now: Date): string =>
  Date.parse(restore.readyAt) > now.getTime()
    ? 'ongoing-request="true"'
    : `ongoing-request="false", expiry-date="${new Date(restore.expires).toUTCString()}"`;
