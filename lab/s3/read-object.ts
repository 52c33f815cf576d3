/** Reads objects: their headers, their bytes, and their attributes. */
import { open } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { ServiceError } from '../core/contract.ts';
import { checksumHeaders } from './checksums.ts';
import { checkReadConditions } from './conditions.ts';
import { bucketOf, type Exchange, header, type Operation, sendEmpty, sendXml, versionHeaders } from './exchange.ts';
import { askedHeaders, objectHeaders } from './head-fields.ts';
import { objectOf } from './objects.ts';
import type { StoredObject } from './store/model.ts';

export const headObject: Operation = (exchange) => {
  const object = objectOf(exchange);
  if (checkReadConditions(exchange, object)) return sendEmpty(exchange, 304, { etag: object.etag });
  const range = rangeOf(exchange, object);
  sendEmpty(exchange, range.partial ? 206 : 200, {
    ...objectHeaders(exchange, object),
    ...versionHeaders(bucketOf(exchange), object),
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
  const headers = {
    ...objectHeaders(exchange, object),
    ...versionHeaders(bucketOf(exchange), object),
    ...askedHeaders(exchange),
    ...checksum,
    ...range.headers,
  };
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
  /** The first byte after the range. */
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
    { 'last-modified': new Date(object.modified).toUTCString(), ...versionHeaders(bucketOf(exchange), object) },
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
