/** CopyObject and UploadPartCopy. Sources: CopyObject and UploadPartCopy of the S3 API reference. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { ServiceError } from '../core/contract.ts';
import { type Algorithm, type Checksum, isAlgorithm, running } from './checksums.ts';
import { checkWriteConditions } from './conditions.ts';
import { bucketOf, type Exchange, header, type Operation, sendXml, versionHeaders } from './exchange.ts';
import { encryptionHeaders, readHead } from './head-fields.ts';
import { withDefaultRetention } from './locks/rules.ts';
import { keepPart, partNumberOf, uploadOf } from './multipart.ts';
import { checkKey, notFound, versionOf } from './objects.ts';
import { bytesOf, isReadable } from './read-object.ts';
import type { Bucket, ObjectHead, StoredObject, StoredPart } from './store/model.ts';

const LARGEST_SOURCE = 5 * 2 ** 30;

export const copyObject: Operation = async (exchange) => {
  const target = bucketOf(exchange);
  const { store, key } = exchange;
  checkKey(key);
  const { bucket, source } = sourceOf(exchange);
  const head = headOf(exchange, target, source);
  if (bucket === target && isCurrent(exchange, source) && !changesAnything(exchange, source, head)) {
    throw new ServiceError(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
  if (source.bytes > LARGEST_SOURCE) throw tooLarge();
  checkWriteConditions(exchange);
  const algorithm =
    algorithmOf(exchange) ?? (source.checksum?.type === 'FULL_OBJECT' ? source.checksum.algorithm : 'CRC32');
  const part = await copyBytes(exchange, source, { start: 0, end: source.bytes }, algorithm);
  const checksum: Checksum = { algorithm, type: 'FULL_OBJECT', value: part.checksum ?? '' };
  const etag = `"${part.md5}"`;
  const { bytes, modified } = part;
  const copy = store.objects.publish(target, {
    ...head,
    headers: withDefaultRetention(target, head.headers, exchange.context.now()),
    key,
    etag,
    bytes,
    modified,
    parts: [part],
    checksum,
    uploadId: null,
    restore: null,
  });
  sendXml(exchange, 'CopyObjectResult', resultOf(part, algorithm), {
    ...encryptionHeaders(head),
    ...versionHeaders(target, copy),
    ...sourceHeaders(bucket, source),
  });
};

export const uploadPartCopy: Operation = async (exchange) => {
  const upload = uploadOf(exchange);
  const number = partNumberOf(exchange);
  const { bucket, source } = sourceOf(exchange);
  const range = rangeOf(exchange, source);
  if (range.end - range.start > LARGEST_SOURCE) throw tooLarge();
  const algorithm = upload.checksum?.algorithm ?? 'CRC32';
  const part = await copyBytes(exchange, source, range, algorithm);
  keepPart(exchange, upload, number, part);
  sendXml(exchange, 'CopyPartResult', resultOf(part, algorithm), {
    ...encryptionHeaders(upload),
    ...sourceHeaders(bucket, source),
  });
};

const resultOf = ({ md5, modified, checksum }: StoredPart, algorithm: Algorithm) => ({
  LastModified: modified,
  ETag: `"${md5}"`,
  [`Checksum${algorithm}`]: checksum,
});

const tooLarge = (): ServiceError =>
  new ServiceError(
    'InvalidRequest',
    `The specified copy source is larger than the maximum allowable size for a copy source: ${LARGEST_SOURCE}`,
  );

/** @throws ServiceError if the source does not exist, may not be read, or does not meet the conditions. */
function sourceOf(exchange: Exchange): { bucket: Bucket; source: StoredObject } {
  const [path = '', query = ''] = (header(exchange, 'x-amz-copy-source') ?? '').split('?');
  const [, name = '', key = ''] = /^\/?([^/]+)\/(.+)$/s.exec(decodeURIComponent(path)) ?? [];
  if (name === '')
    throw new ServiceError(
      'InvalidArgument',
      'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
    );
  const versionId = new URLSearchParams(query).get('versionId');
  const action = versionId === null ? 's3:GetObject' : 's3:GetObjectVersion';
  const resource = `arn:aws:s3:::${name}/${key}`;
  if (!exchange.context.allowed(exchange.signed.caller, { action, resources: [resource] })) {
    throw new ServiceError('AccessDenied', 'Access Denied', 403);
  }
  const bucket = exchange.store.bucket(name);
  if (!bucket) throw new ServiceError('NoSuchBucket', 'The specified bucket does not exist', 404);
  const source = versionOf(exchange.store, name, key, versionId);
  if (!source) throw notFound(key, versionId);
  if (source.isDeleteMarker) {
    throw versionId === null
      ? notFound(key, null)
      : new ServiceError(
          'InvalidRequest',
          'The source of a copy request may not specifically refer to a delete marker by version id.',
        );
  }
  checkSource(exchange, source);
  return { bucket, source };
}

const isCurrent = ({ store, bucketName, key }: Exchange, source: StoredObject): boolean =>
  store.objects.current(bucketName, key) === source;

const sourceHeaders = ({ versioning }: Bucket, { versionId }: StoredObject): Record<string, string> =>
  versioning === undefined ? {} : { 'x-amz-copy-source-version-id': versionId };

function checkSource(exchange: Exchange, source: StoredObject): void {
  const is = (etag: string | undefined) => etag?.replaceAll('"', '') === source.etag.replaceAll('"', '');
  const [match, noneMatch] = ['x-amz-copy-source-if-match', 'x-amz-copy-source-if-none-match'].map((name) =>
    header(exchange, name),
  );
  if ((match !== undefined && !is(match)) || (noneMatch !== undefined && is(noneMatch))) {
    throw new ServiceError('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', 412);
  }
  if (isReadable(source, exchange)) return;
  throw new ServiceError(
    'ObjectNotInActiveTierError',
    'The source object of the COPY action is not in the active tier.',
    403,
  );
}

/** Returns the metadata and tags of the source or of the request. Class and encryption always come from the request. */
function headOf(exchange: Exchange, target: Bucket, source: StoredObject): ObjectHead {
  const asked = readHead(exchange, target);
  const isReplaced = (name: string) => header(exchange, name)?.toUpperCase() === 'REPLACE';
  const own = Object.entries(source.headers).filter(([name]) => !name.startsWith('x-amz-'));
  return {
    ...asked,
    ...(isReplaced('x-amz-metadata-directive')
      ? {}
      : { metadata: source.metadata, headers: { ...asked.headers, ...Object.fromEntries(own) } }),
    ...(isReplaced('x-amz-tagging-directive') ? {} : { tags: source.tags }),
  };
}

const changesAnything = (exchange: Exchange, source: StoredObject, head: ObjectHead): boolean =>
  header(exchange, 'x-amz-metadata-directive')?.toUpperCase() === 'REPLACE' ||
  header(exchange, 'x-amz-server-side-encryption') !== undefined ||
  head.storageClass !== source.storageClass;

function algorithmOf(exchange: Exchange): Algorithm | null {
  const name = header(exchange, 'x-amz-checksum-algorithm');
  if (name === undefined) return null;
  if (!isAlgorithm(name)) throw new ServiceError('InvalidRequest', 'Checksum algorithm provided is unsupported.');
  return name;
}

interface Span {
  start: number;
  /** The first byte after the span. */
  end: number;
}

function rangeOf(exchange: Exchange, { bytes }: StoredObject): Span {
  const text = header(exchange, 'x-amz-copy-source-range');
  if (text === undefined) return { start: 0, end: bytes };
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(text) ?? [];
  const span = { start: Number(first), end: Number(last) + 1 };
  if (span.start < span.end && span.end <= bytes) return span;
  throw new ServiceError('InvalidArgument', `Range specified is not valid for source object of size: ${bytes}`);
}

/** Copies to a separate file, because the source may be deleted. */
async function copyBytes(
  exchange: Exchange,
  source: StoredObject,
  { start, end }: Span,
  algorithm: Algorithm,
): Promise<StoredPart> {
  const file = exchange.store.newPartFile();
  const md5 = createHash('md5');
  const sum = running(algorithm);
  await using target = await open(file, 'wx');
  for await (const chunk of bytesOf(source, start, end)) {
    md5.update(chunk);
    sum.update(chunk);
    await target.write(chunk);
  }
  const modified = exchange.context.now().toISOString();
  return { file, bytes: end - start, md5: md5.digest('hex'), checksum: await sum.digest(), modified };
}
