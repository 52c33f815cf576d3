/** Operations on whole objects. */
import { open } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { ServiceError } from '../core/contract.ts';
import { receiveBody } from './body.ts';
import { ALGORITHMS, type Algorithm, type Checksum, headerOf } from './checksums.ts';
import { checkReadConditions, checkWriteConditions } from './conditions.ts';
import { bucketOf, type Exchange, header, type Operation, sendEmpty, sendXml, smallBody } from './exchange.ts';
import { askedHeaders, encryptionHeaders, objectHeaders, readHead } from './head-fields.ts';
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

const checksumHeaders = (checksum: Checksum | null): Record<string, string> =>
  checksum ? { [headerOf(checksum.algorithm)]: checksum.value, 'x-amz-checksum-type': checksum.type } : {};

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

export const headObject: Operation = (exchange) => {
  const object = objectOf(exchange);
  if (checkReadConditions(exchange, object)) return sendEmpty(exchange, 304, { etag: object.etag });
  const range = rangeOf(exchange, object);
  sendEmpty(exchange, range.partial ? 206 : 200, {
    ...objectHeaders(object),
    ...askedHeaders(exchange),
    ...askedChecksum(exchange, object),
    ...range.headers,
  });
};

export const getObject: Operation = async (exchange) => {
  const object = objectOf(exchange);
  if (checkReadConditions(exchange, object)) return sendEmpty(exchange, 304, { etag: object.etag });
  checkReadable(object, exchange);
  const range = rangeOf(exchange, object);
  const checksum = range.partial ? {} : askedChecksum(exchange, object);
  const headers = { ...objectHeaders(object), ...askedHeaders(exchange), ...checksum, ...range.headers };
  exchange.response.writeHead(range.partial ? 206 : 200, headers);
  try {
    const bytes = bytesOf(object, range.start, range.end);
    const flipped = exchange.behaviours.get('flip-bit');
    await send(flipped === undefined ? bytes : flipping(Number(flipped), bytes), exchange.response);
  } catch (error) {
    if (!exchange.response.destroyed) throw error;
  }
};

/** Passes each chunk to the kernel before it requests the next one. */
async function send(stream: AsyncIterable<Buffer>, response: ServerResponse): Promise<void> {
  for await (const chunk of stream) {
    await new Promise<void>((resolve, reject) => {
      response.write(chunk, (error) => (error ? reject(error) : resolve()));
    });
  }
  response.end();
}

const askedChecksum = (exchange: Exchange, object: StoredObject): Record<string, string> =>
  header(exchange, 'x-amz-checksum-mode') === 'ENABLED' ? checksumHeaders(object.checksum) : {};

/** Objects in archive classes can be read only while a thawed copy exists. */
export function isReadable({ storageClass, restore }: StoredObject, { context }: Exchange): boolean {
  if (storageClass !== 'GLACIER' && storageClass !== 'DEEP_ARCHIVE') return true;
  const time = context.now().getTime();
  return restore !== null && Date.parse(restore.readyAt) <= time && Date.parse(restore.expires) > time;
}

function checkReadable(object: StoredObject, exchange: Exchange): void {
  if (isReadable(object, exchange)) return;
  throw new ServiceError('InvalidObjectState', "The operation is not valid for the object's storage class", 403, {
    StorageClass: object.storageClass,
  });
}

interface Range {
  start: number;
  /** Exclusive. */
  end: number;
  partial: boolean;
  headers: Record<string, string>;
}

function rangeOf(exchange: Exchange, object: StoredObject): Range {
  const partNumber = exchange.query.get('partNumber');
  if (partNumber !== null) return rangeOfPart(object, Number(partNumber));
  const found = /^bytes=(\d*)-(\d*)$/.exec(header(exchange, 'range') ?? '');
  if (!found || (found[1] === '' && found[2] === '')) return range(object, 0, object.bytes, false);
  const [, first = '', last = ''] = found;
  const start = first === '' ? Math.max(0, object.bytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? object.bytes : Math.min(Number(last) + 1, object.bytes);
  if (start >= object.bytes || end <= start) {
    throw new ServiceError('InvalidRange', 'The requested range is not satisfiable', 416, {
      ActualObjectSize: String(object.bytes),
    });
  }
  return range(object, start, end, true);
}

function rangeOfPart(object: StoredObject, number: number): Range {
  const part = object.parts[number - 1];
  if (!part) throw new ServiceError('InvalidPartNumber', 'The requested partnumber is not satisfiable', 416);
  const start = object.parts.slice(0, number - 1).reduce((sum, { bytes }) => sum + bytes, 0);
  const found = range(object, start, start + part.bytes, true);
  return { ...found, headers: { ...found.headers, 'x-amz-mp-parts-count': String(object.parts.length) } };
}

const range = (object: StoredObject, start: number, end: number, partial: boolean): Range => ({
  start,
  end,
  partial,
  headers: {
    'content-length': String(end - start),
    ...(partial ? { 'content-range': `bytes ${start}-${end - 1}/${object.bytes}` } : {}),
  },
});

const READ_BYTES = 1024 * 1024;

/** A chunk is valid until the next one is requested. */
export async function* bytesOf(object: StoredObject, start: number, end: number): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - start));
  let offset = 0;
  for (const { file, bytes } of object.parts) {
    const from = Math.max(start - offset, 0);
    const to = Math.min(end - offset, bytes);
    if (from < to) yield* bytesOfPart(file, from, to, buffer);
    offset += bytes;
  }
}

async function* bytesOfPart(path: string, from: number, to: number, buffer: Buffer): AsyncGenerator<Buffer> {
  await using file = await open(path);
  for (let position = from; position < to; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, to - position), position);
    if (bytesRead === 0) throw new Error(`${path} ends at byte ${position}`);
    yield buffer.subarray(0, bytesRead);
    position += bytesRead;
  }
}

/** Flips one bit of one byte of the response, as broken memory would. */
async function* flipping(position: number, stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let offset = 0;
  for await (const chunk of stream) {
    const at = position - offset;
    if (at >= 0 && at < chunk.length) chunk[at] = (chunk[at] ?? 0) ^ 0x10;
    offset += chunk.length;
    yield chunk;
  }
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

export const getObjectAttributes: Operation = (exchange) => {
  const object = objectOf(exchange);
  const asked = new Set((header(exchange, 'x-amz-object-attributes') ?? '').split(',').map((name) => name.trim()));
  const { checksum } = object;
  const multipart = object.uploadId !== null;
  sendXml(
    exchange,
    'GetObjectAttributesResponse',
    {
      ETag: asked.has('ETag') ? object.etag.replaceAll('"', '') : null,
      Checksum:
        asked.has('Checksum') && checksum
          ? { [`Checksum${checksum.algorithm}`]: checksum.value, ChecksumType: checksum.type }
          : null,
      ObjectParts: asked.has('ObjectParts') && multipart ? objectParts(exchange, object) : null,
      StorageClass: asked.has('StorageClass') ? object.storageClass : null,
      ObjectSize: asked.has('ObjectSize') ? object.bytes : null,
    },
    { 'last-modified': new Date(object.modified).toUTCString() },
  );
};

/** The number of parts is `PartsCount` in the protocol. */
function objectParts(exchange: Exchange, { parts, checksum }: StoredObject) {
  const after = Number(header(exchange, 'x-amz-part-number-marker') ?? 0);
  const most = Math.min(Number(header(exchange, 'x-amz-max-parts') ?? 1000), exchange.context.pageSize ?? 1000);
  const shown = parts.slice(after, after + most);
  return {
    PartsCount: parts.length,
    PartNumberMarker: after,
    NextPartNumberMarker: after + shown.length,
    MaxParts: most,
    IsTruncated: after + shown.length < parts.length,
    Part: shown.map((part, index) => ({
      PartNumber: after + index + 1,
      Size: part.bytes,
      ...(checksum && part.checksum !== null ? { [`Checksum${checksum.algorithm}`]: part.checksum } : {}),
    })),
  };
}
