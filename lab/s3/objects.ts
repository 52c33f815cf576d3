/** Writes and deletes whole objects, and requests their restore. */
import { ServiceError } from '../core/contract.ts';
import { receiveBody } from './body.ts';
import { ALGORITHMS, type Algorithm, type Checksum, checksumHeaders, headerOf } from './checksums.ts';
import { checkWriteConditions } from './conditions.ts';
import { bucketOf, type Exchange, type Operation, sendEmpty, sendXml, smallBody } from './exchange.ts';
import { encryptionHeaders, readHead } from './head-fields.ts';
import type { StoredObject } from './store.ts';
import { parseXml } from './xml.ts';

const LARGEST_PUT = 5 * 2 ** 30;

export function checkKey(key: string): void {
  if (Buffer.byteLength(key) > 1024) throw new ServiceError('KeyTooLongError', 'Your key is too long');
}

export const putObject: Operation = async (exchange) => {
  const { name } = bucketOf(exchange);
  const { store, request, context, key } = exchange;
  checkKey(key);
  const head = readHead(exchange);
  checkWriteConditions(exchange);
  if (Number(request.headers['content-length'] ?? 0) > LARGEST_PUT) {
    throw new ServiceError('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size');
  }
  const file = store.newPartFile();
  const { bytes, md5, checksums } = await receiveBody(request, { file, signed: exchange.signed, wanted: 'CRC32' });
  // Another request may have written the object while the body was received.
  checkWriteConditions(exchange);
  const modified = context.now().toISOString();
  const checksum = chosen(checksums, request.headers);
  const parts = [{ file, bytes, md5, checksum: checksum?.value ?? null, modified }];
  store.saveObject(name, {
    ...head,
    key,
    etag: `"${md5}"`,
    bytes,
    modified,
    parts,
    checksum,
    uploadId: null,
    restore: null,
  });
  sendEmpty(exchange, 200, { etag: `"${md5}"`, ...checksumHeaders(checksum), ...encryptionHeaders(head) });
};

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

/** @throws ServiceError `NoSuchKey`, or `AccessDenied` if the caller may not list the bucket. */
export function objectOf(exchange: Exchange): StoredObject {
  const { name } = bucketOf(exchange);
  const object = exchange.store.object(name, exchange.key);
  if (object) return object;
  const mayList = exchange.context.allowed(exchange.signed.caller, {
    action: 's3:ListBucket',
    resources: [`arn:aws:s3:::${name}`],
  });
  if (!mayList) throw new ServiceError('AccessDenied', 'Access Denied', 403);
  throw new ServiceError('NoSuchKey', 'The specified key does not exist.', 404, { Key: exchange.key });
}

export const deleteObject: Operation = (exchange) => {
  const { name } = bucketOf(exchange);
  checkWriteConditions(exchange);
  removeUnlocked(exchange, name, exchange.key);
  sendEmpty(exchange, 204);
};

function removeUnlocked(exchange: Exchange, bucket: string, key: string): void {
  const until = exchange.store.object(bucket, key)?.headers['x-amz-object-lock-retain-until-date'];
  if (until !== undefined && Date.parse(until) > exchange.context.now().getTime()) {
    throw new ServiceError('AccessDenied', 'Access Denied because object protected by object lock.', 403);
  }
  exchange.store.dropObject(bucket, key);
}

export const deleteObjects: Operation = async (exchange) => {
  const { name } = bucketOf(exchange);
  const { Object: objects = [] } = parseXml(await smallBody(exchange), 'Delete') as { Object?: { Key: string }[] };
  const deleted: string[] = [];
  const errors: { Key: string; Code: string; Message: string }[] = [];
  for (const { Key } of objects) {
    try {
      removeUnlocked(exchange, name, Key);
      deleted.push(Key);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      errors.push({ Key, Code: error.code, Message: error.message });
    }
  }
  sendXml(exchange, 'DeleteResult', { Deleted: deleted.map((Key) => ({ Key })), Error: errors });
};

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
  exchange.store.saveObject(exchange.bucketName, { ...object, restore });
  sendEmpty(exchange, restored ? 200 : 202);
};
