/** Multipart uploads. Source: "Uploading and copying objects using multipart upload" of the S3 user guide. */
import { createHash, randomUUID } from 'node:crypto';
import { ServiceError } from '../core/contract.ts';
import { receiveBody } from './body.ts';
import {
  type Algorithm,
  allowsType,
  type Checksum,
  type ChecksumType,
  defaultType,
  headerOf,
  isAlgorithm,
  joined,
} from './checksums.ts';
import { checkWriteConditions } from './conditions.ts';
import {
  bucketOf,
  type Exchange,
  encodeKey,
  header,
  type Operation,
  sendEmpty,
  sendXml,
  smallBody,
} from './exchange.ts';
import { encryptionHeaders, readHead } from './head-fields.ts';
import { checkKey } from './objects.ts';
import type { StoredObject, StoredPart, Upload } from './store.ts';
import { parseXml } from './xml.ts';

const SMALLEST_PART = 5 * 2 ** 20;
const LARGEST_PART = 5 * 2 ** 30;
const MAX_PARTS = 10_000;

export const createMultipartUpload: Operation = (exchange) => {
  const { name } = bucketOf(exchange);
  const { store, context, key } = exchange;
  checkKey(key);
  const upload: Upload = {
    ...readHead(exchange),
    id: randomUUID().replaceAll('-', ''),
    bucket: name,
    key,
    initiated: context.now().toISOString(),
    checksum: checksumOrder(exchange),
    parts: {},
  };
  store.saveUpload(upload);
  const { checksum } = upload;
  sendXml(
    exchange,
    'InitiateMultipartUploadResult',
    { Bucket: name, Key: key, UploadId: upload.id },
    {
      ...(checksum ? { 'x-amz-checksum-algorithm': checksum.algorithm, 'x-amz-checksum-type': checksum.type } : {}),
      ...encryptionHeaders(upload),
    },
  );
};

function checksumOrder(exchange: Exchange): Upload['checksum'] {
  const algorithm = header(exchange, 'x-amz-checksum-algorithm');
  if (algorithm === undefined) return null;
  if (!isAlgorithm(algorithm)) throw new ServiceError('InvalidRequest', 'Checksum algorithm provided is unsupported.');
  const type = (header(exchange, 'x-amz-checksum-type') as ChecksumType | undefined) ?? defaultType(algorithm);
  if (!allowsType(algorithm, type))
    throw new ServiceError(
      'InvalidRequest',
      `The ${type} checksum type cannot be used with the ${algorithm} checksum algorithm.`,
    );
  return { algorithm, type };
}

export function uploadOf(exchange: Exchange): Upload {
  bucketOf(exchange);
  const upload = exchange.store.upload(exchange.query.get('uploadId') ?? '');
  if (upload && upload.bucket === exchange.bucketName && upload.key === exchange.key) return upload;
  throw new ServiceError(
    'NoSuchUpload',
    'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
    404,
  );
}

export const uploadPart: Operation = async (exchange) => {
  const upload = uploadOf(exchange);
  const { store, request, context } = exchange;
  const number = partNumberOf(exchange);
  if (Number(request.headers['content-length'] ?? 0) > LARGEST_PART) {
    throw new ServiceError('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size');
  }
  const file = store.newPartFile();
  const wanted = upload.checksum?.algorithm ?? 'CRC32';
  const { bytes, md5, checksums } = await receiveBody(request, { file, signed: exchange.signed, wanted });
  checkAlgorithm(upload, checksums, file, exchange);
  const modified = context.now().toISOString();
  keepPart(exchange, upload, number, { file, bytes, md5, checksum: checksums[wanted] ?? null, modified });
  const sent = upload.checksum?.algorithm ?? (Object.keys(checksums)[0] as Algorithm | undefined);
  const value = sent === undefined ? undefined : checksums[sent];
  sendEmpty(exchange, 200, {
    etag: `"${md5}"`,
    ...(sent && value ? { [headerOf(sent)]: value } : {}),
    ...encryptionHeaders(upload),
  });
};

export function partNumberOf({ query }: Exchange): number {
  const number = Number(query.get('partNumber'));
  if (Number.isInteger(number) && number >= 1 && number <= MAX_PARTS) return number;
  throw new ServiceError('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive');
}

/** @throws ServiceError if the upload has ended in the meantime. The file of the part is removed. */
export function keepPart({ store }: Exchange, upload: Upload, number: number, part: StoredPart): void {
  if (!store.upload(upload.id)) {
    store.dropFile(part.file);
    throw new ServiceError('NoSuchUpload', 'The specified upload does not exist.', 404);
  }
  const replaced = upload.parts[number];
  upload.parts[number] = part;
  store.saveUpload(upload);
  if (replaced) store.dropFile(replaced.file);
}

/** Source: responses of S3 that are recorded in issues of the SDK. */
function checkAlgorithm(
  upload: Upload,
  checksums: Partial<Record<Algorithm, string>>,
  file: string,
  exchange: Exchange,
): void {
  const wrong = (Object.keys(checksums) as Algorithm[]).find(
    (name) => header(exchange, headerOf(name)) !== undefined && name !== (upload.checksum?.algorithm ?? name),
  );
  if (wrong === undefined) return;
  exchange.store.dropFile(file);
  throw new ServiceError(
    'InvalidRequest',
    `Checksum Type mismatch occurred, expected checksum Type: ${upload.checksum?.algorithm.toLowerCase() ?? 'null'}, actual checksum Type: ${wrong.toLowerCase()}`,
  );
}

interface NamedPart {
  PartNumber: string;
  ETag: string;
  [checksum: `Checksum${string}`]: string;
}

export const completeMultipartUpload: Operation = async (exchange) => {
  const body = parseXml(await smallBody(exchange), 'CompleteMultipartUpload') as { Part?: NamedPart[] };
  const { store } = exchange;
  const repeated = store.object(exchange.bucketName, exchange.key);
  if (repeated && repeated.uploadId === exchange.query.get('uploadId')) return sendCompleted(exchange, repeated);
  const upload = uploadOf(exchange);
  checkWriteConditions(exchange);
  const parts = chosenParts(upload, body.Part ?? []);
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  const expected = header(exchange, 'x-amz-mp-object-size');
  if (expected !== undefined && Number(expected) !== bytes) {
    throw new ServiceError(
      'InvalidRequest',
      `The provided 'x-amz-mp-object-size' header value ${expected} does not match what was computed: ${bytes}`,
    );
  }
  const checksum = await wholeChecksum(exchange, upload, parts);
  if (exchange.behaviours.has('error-after-200')) return sendLateError(exchange);
  const etag = etagOf(parts);
  const { id, bucket: _bucket, initiated, parts: _parts, checksum: _order, ...head } = upload;
  store.saveObject(exchange.bucketName, {
    ...head,
    etag,
    bytes,
    modified: initiated,
    parts,
    checksum,
    uploadId: id,
    restore: null,
  });
  store.dropUpload(upload, parts);
  if (exchange.behaviours.has('lost-answer')) return void exchange.request.socket.destroy();
  sendCompleted(exchange, { etag, checksum, headers: head.headers });
};

function chosenParts(upload: Upload, named: readonly NamedPart[]): StoredPart[] {
  if (named.length === 0)
    throw new ServiceError(
      'MalformedXML',
      'The XML you provided was not well-formed or did not validate against our published schema',
    );
  const numbers = named.map(({ PartNumber }) => Number(PartNumber));
  const consecutive = numbers.every((number, index) => number === index + 1);
  const ascending = numbers.every((number, index) => index === 0 || number > (numbers[index - 1] ?? 0));
  if (!ascending || (upload.checksum && !consecutive))
    throw new ServiceError(
      'InvalidPartOrder',
      'The list of parts was not in ascending order. Parts must be ordered by part number.',
    );
  return named.map((name, index) => {
    const part = upload.parts[name.PartNumber];
    const checksum = upload.checksum ? name[`Checksum${upload.checksum.algorithm}`] : undefined;
    const wrong = checksum !== undefined && checksum !== part?.checksum;
    if (!part || wrong || name.ETag.replaceAll(/"|&quot;/g, '') !== part.md5) {
      throw new ServiceError(
        'InvalidPart',
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
      );
    }
    if (part.bytes < SMALLEST_PART && index < named.length - 1) {
      throw new ServiceError('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', 400, {
        PartNumber: name.PartNumber,
      });
    }
    return part;
  });
}

async function wholeChecksum(
  exchange: Exchange,
  upload: Upload,
  parts: readonly StoredPart[],
): Promise<Checksum | null> {
  const order = upload.checksum ?? { algorithm: 'CRC32', type: 'FULL_OBJECT' };
  if (upload.checksum && parts.some(({ checksum }) => checksum === null)) return null;
  const value = await joined(
    order.algorithm,
    order.type,
    parts.map(({ file, bytes, checksum }) => ({ file, bytes, value: checksum ?? '' })),
  );
  const given = header(exchange, headerOf(order.algorithm));
  if (given !== undefined && given !== value) {
    throw new ServiceError('BadDigest', `The ${order.algorithm} you specified did not match the calculated checksum.`);
  }
  return { algorithm: order.algorithm, type: order.type, value };
}

function etagOf(parts: readonly StoredPart[]): string {
  const hash = createHash('md5');
  for (const { md5 } of parts) hash.update(Buffer.from(md5, 'hex'));
  return `"${hash.digest('hex')}-${parts.length}"`;
}

function sendCompleted(exchange: Exchange, object: Pick<StoredObject, 'etag' | 'checksum' | 'headers'>): void {
  const { etag, checksum } = object;
  const content = {
    Location: `/${exchange.bucketName}/${exchange.key}`,
    Bucket: exchange.bucketName,
    Key: exchange.key,
    ETag: etag,
    ...(checksum ? { [`Checksum${checksum.algorithm}`]: checksum.value, ChecksumType: checksum.type } : {}),
  };
  sendXml(exchange, 'CompleteMultipartUploadResult', content, encryptionHeaders(object));
}

/** S3 may start the response before it knows the result. Source: CompleteMultipartUpload of the S3 API reference. */
const sendLateError = ({ response }: Exchange): void => {
  response
    .writeHead(200, { 'content-type': 'application/xml' })
    .end(
      '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code><Message>We encountered an internal error. Please try again.</Message></Error>',
    );
};

export const abortMultipartUpload: Operation = (exchange) => {
  exchange.store.dropUpload(uploadOf(exchange), []);
  sendEmpty(exchange, 204);
};

export const listParts: Operation = (exchange) => {
  const upload = uploadOf(exchange);
  const { query } = exchange;
  const after = Number(query.get('part-number-marker') ?? 0);
  const most = Math.min(Number(query.get('max-parts') ?? 1000), exchange.context.pageSize ?? 1000);
  const rest = Object.entries(upload.parts)
    .map(([number, part]) => ({ number: Number(number), part }))
    .filter(({ number }) => number > after)
    .sort((a, b) => a.number - b.number);
  const shown = rest.slice(0, most);
  const { checksum } = upload;
  sendXml(exchange, 'ListPartsResult', {
    Bucket: upload.bucket,
    Key: encodeKey(upload.key, query),
    UploadId: upload.id,
    StorageClass: upload.storageClass,
    PartNumberMarker: after,
    NextPartNumberMarker: shown.at(-1)?.number ?? 0,
    MaxParts: most,
    IsTruncated: rest.length > shown.length,
    ...(checksum ? { ChecksumAlgorithm: checksum.algorithm, ChecksumType: checksum.type } : {}),
    Part: shown.map(({ number, part }) => ({
      PartNumber: number,
      LastModified: part.modified,
      ETag: `"${part.md5}"`,
      Size: part.bytes,
      ...(checksum && part.checksum ? { [`Checksum${checksum.algorithm}`]: part.checksum } : {}),
    })),
  });
};

export const listMultipartUploads: Operation = (exchange) => {
  const { name } = bucketOf(exchange);
  const { query, store, context } = exchange;
  const prefix = query.get('prefix') ?? '';
  const keyMarker = query.get('key-marker') ?? '';
  const idMarker = query.get('upload-id-marker') ?? '';
  const most = Math.min(Number(query.get('max-uploads') ?? 1000), context.pageSize ?? 1000);
  const rest = store.uploads
    .filter((upload) => upload.bucket === name && upload.key.startsWith(prefix))
    .filter(({ key, id }) => key > keyMarker || (key === keyMarker && idMarker !== '' && id > idMarker))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.id < b.id ? -1 : 1));
  const shown = rest.slice(0, most);
  const last = shown.at(-1);
  const truncated = rest.length > shown.length;
  sendXml(exchange, 'ListMultipartUploadsResult', {
    Bucket: name,
    Prefix: encodeKey(prefix, query),
    KeyMarker: encodeKey(keyMarker, query),
    UploadIdMarker: idMarker,
    MaxUploads: most,
    IsTruncated: truncated,
    ...(truncated && last ? { NextKeyMarker: encodeKey(last.key, query), NextUploadIdMarker: last.id } : {}),
    ...(query.get('encoding-type') === 'url' ? { EncodingType: 'url' } : {}),
    Upload: shown.map(({ key, id, initiated, storageClass, checksum }) => ({
      Key: encodeKey(key, query),
      UploadId: id,
      StorageClass: storageClass,
      Initiated: initiated,
      ...(checksum ? { ChecksumAlgorithm: checksum.algorithm, ChecksumType: checksum.type } : {}),
    })),
  });
};
