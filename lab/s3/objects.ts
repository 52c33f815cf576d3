/** Writes whole objects, finds them, and requests their restore. */
import { ServiceError } from '../core/contract.ts';
import { receiveBody } from './body.ts';
import { ALGORITHMS, type Algorithm, type Checksum, checksumHeaders, headerOf } from './checksums.ts';
import { checkWriteConditions } from './conditions.ts';
import { bucketOf, type Exchange, type Operation, sendEmpty, smallBody, versionHeaders } from './exchange.ts';
import { encryptionHeaders, readHead } from './head-fields.ts';
import { defaultOf, retentionOf, withDefaultRetention } from './locks/rules.ts';
import type { Bucket, ObjectHead, StoredObject, StoredVersion } from './store/model.ts';
import type { S3Store } from './store/store.ts';
import { parseXml } from './xml.ts';

const LARGEST_PUT = 5 * 2 ** 30;

export function checkKey(key: string): void {
  if (Buffer.byteLength(key) > 1024) throw new ServiceError('KeyTooLongError', 'Your key is too long');
}

export const putObject: Operation = async (exchange) => {
  const bucket = bucketOf(exchange);
  const { store, request, context, key } = exchange;
  checkKey(key);
  const head = readHead(exchange, bucket);
  checkWriteConditions(exchange);
  if (Number(request.headers['content-length'] ?? 0) > LARGEST_PUT) {
    throw new ServiceError('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size');
  }
  checkDigest(bucket, request.headers, head);
  const file = store.newPartFile();
  const { bytes, md5, checksums } = await receiveBody(request, { file, signed: exchange.signed, wanted: 'CRC32' });
  // Another request may have written the object while the body was received.
  checkWriteConditions(exchange);
  const modified = context.now().toISOString();
  const checksum = chosen(checksums, request.headers);
  const parts = [{ file, bytes, md5, checksum: checksum?.value ?? null, modified }];
  const object = store.objects.publish(bucket, {
    ...head,
    headers: withDefaultRetention(bucket, head.headers, context.now()),
    key,
    etag: `"${md5}"`,
    bytes,
    modified,
    parts,
    checksum,
    uploadId: null,
    restore: null,
  });
  sendEmpty(exchange, 200, {
    etag: `"${md5}"`,
    ...checksumHeaders(checksum),
    ...encryptionHeaders(head),
    ...versionHeaders(bucket, object),
  });
};

/** Objects with a retention are accepted only with a checksum. */
function checkDigest({ objectLock }: Bucket, headers: Exchange['request']['headers'], head: ObjectHead): void {
  const isRetained = retentionOf(head.headers) !== null || (objectLock !== undefined && defaultOf(objectLock) !== null);
  const names = ['content-md5', 'x-amz-trailer', ...ALGORITHMS.map(headerOf)];
  if (!isRetained || names.some((name) => headers[name] !== undefined)) return;
  throw new ServiceError(
    'InvalidRequest',
    'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
  );
}

/** The checksum that the client sent, or a default: S3 keeps a checksum of every object. */
function chosen(
  checksums: Partial<Record<Algorithm, string>>,
  headers: Exchange['request']['headers'],
): Checksum | null {
  const sent = ALGORITHMS.find((name) => headers[headerOf(name)] ?? headers['x-amz-trailer'] === headerOf(name));
  const algorithm = sent ?? 'CRC32';
  const value = checksums[algorithm];
  return value === undefined ? null : { algorithm, type: 'FULL_OBJECT', value };
}

/** Returns the named version or, if none is named, the newest one. */
export const versionOf = (
  { objects }: S3Store,
  bucket: string,
  key: string,
  versionId: string | null,
): StoredVersion | undefined => {
  const versions = objects.versionsOf(bucket, key);
  return versionId === null ? versions[0] : versions.find((version) => version.versionId === versionId);
};

export const notFound = (key: string, versionId: string | null): ServiceError =>
  versionId === null
    ? new ServiceError('NoSuchKey', 'The specified key does not exist.', 404, { Key: key })
    : new ServiceError('NoSuchVersion', 'The specified version does not exist.', 404, {
        Key: key,
        VersionId: versionId,
      });

/**
 * Returns the object that a request names.
 * @throws ServiceError `NoSuchKey` or `NoSuchVersion`, `AccessDenied` if the caller may not list the bucket, or
 *   `MethodNotAllowed` for a delete marker that is named.
 */
export function objectOf(exchange: Exchange): StoredObject {
  const { name } = bucketOf(exchange);
  const { store, key, query, response } = exchange;
  const versionId = query.get('versionId');
  const version = versionOf(store, name, key, versionId);
  if (version && !version.isDeleteMarker) return version;
  if (version) {
    response.setHeader('x-amz-delete-marker', 'true');
    response.setHeader('x-amz-version-id', version.versionId);
    if (versionId !== null) {
      throw new ServiceError('MethodNotAllowed', 'The specified method is not allowed against this resource.', 405);
    }
  }
  const mayList = exchange.context.allowed(exchange.signed.caller, {
    action: 's3:ListBucket',
    resources: [`arn:aws:s3:::${name}`],
  });
  throw mayList ? notFound(key, versionId) : new ServiceError('AccessDenied', 'Access Denied', 403);
}

const RESTORE_TIERS: Record<string, string[]> = {
  GLACIER: ['Standard', 'Bulk', 'Expedited'],
  DEEP_ARCHIVE: ['Standard', 'Bulk'],
};

export const restoreObject: Operation = async (exchange) => {
  const object = objectOf(exchange);
  const order = parseXml(await smallBody(exchange), 'RestoreRequest') as {
    Days?: string;
    GlacierJobParameters?: { Tier?: string };
  };
  const tiers = RESTORE_TIERS[object.storageClass];
  if (!tiers)
    throw new ServiceError('InvalidObjectState', "Restore is not allowed for the object's current storage class", 403);
  if (!tiers.includes(order.GlacierJobParameters?.Tier ?? 'Standard'))
    throw new ServiceError('InvalidArgument', 'The tier is not valid for the storage class');
  const time = exchange.context.now().getTime();
  const ongoing = object.restore !== null && Date.parse(object.restore.readyAt) > time;
  if (ongoing) throw new ServiceError('RestoreAlreadyInProgress', 'Object restore is already in progress', 409);
  const restored = object.restore !== null && Date.parse(object.restore.expires) > time;
  const readyAt = restored ? time : time + exchange.context.delays.restore;
  const expires = readyAt + Number(order.Days ?? 1) * 86_400_000;
  const restore = { readyAt: new Date(readyAt).toISOString(), expires: new Date(expires).toISOString() };
  exchange.store.objects.update(exchange.bucketName, { ...object, restore });
  sendEmpty(exchange, restored ? 200 : 202);
};
