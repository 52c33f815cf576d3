/** Completes multipart uploads. Source: CompleteMultipartUpload of the S3 API reference. */
import { createHash } from 'node:crypto';
import { ServiceError } from '../core/contract.ts';
import { type Checksum, headerOf, joined } from './checksums.ts';
import { checkWriteConditions } from './conditions.ts';
import { bucketOf, type Exchange, header, type Operation, sendXml, smallBody, versionHeaders } from './exchange.ts';
import { encryptionHeaders } from './head-fields.ts';
import { withDefaultRetention } from './locks/rules.ts';
import { uploadOf } from './multipart.ts';
import type { Bucket, StoredObject, StoredPart, StoredVersion, Upload } from './store/model.ts';
import { parseXml } from './xml.ts';

const SMALLEST_PART = 5 * 2 ** 20;

interface NamedPart {
  PartNumber: string;
  ETag: string;
  [checksum: `Checksum${string}`]: string;
}

export const completeMultipartUpload: Operation = async (exchange) => {
  const body = parseXml(await smallBody(exchange), 'CompleteMultipartUpload') as { Part?: NamedPart[] };
  const { store, key } = exchange;
  const bucket = bucketOf(exchange);
  checkWriteConditions(exchange);
  const repeated = madeBy(exchange.query.get('uploadId'), store.objects.versionsOf(bucket.name, key));
  if (repeated) return sendCompleted(exchange, bucket, repeated);
  const upload = uploadOf(exchange);
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
  // Another request may have written the object meanwhile.
  checkWriteConditions(exchange);
  if (exchange.behaviours.has('error-after-200')) return sendLateError(exchange);
  const etag = etagOf(parts);
  const { id, bucket: _bucket, initiated, parts: _parts, checksum: _order, ...head } = upload;
  const object = store.objects.publish(bucket, {
    ...head,
    headers: withDefaultRetention(bucket, head.headers, exchange.context.now()),
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
  sendCompleted(exchange, bucket, object);
};

const madeBy = (uploadId: string | null, versions: readonly StoredVersion[]): StoredObject | undefined =>
  versions.filter((version) => !version.isDeleteMarker).find((version) => version.uploadId === uploadId);

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

function sendCompleted(exchange: Exchange, bucket: Bucket, object: StoredObject): void {
  const { etag, checksum } = object;
  const content = {
    Location: `/${exchange.bucketName}/${exchange.key}`,
    Bucket: exchange.bucketName,
    Key: exchange.key,
    ETag: etag,
    ...(checksum ? { [`Checksum${checksum.algorithm}`]: checksum.value, ChecksumType: checksum.type } : {}),
  };
  sendXml(exchange, 'CompleteMultipartUploadResult', content, {
    ...encryptionHeaders(object),
    ...versionHeaders(bucket, object),
  });
}

/** S3 may start the response before it knows the result. Source: CompleteMultipartUpload of the S3 API reference. */
const sendLateError = ({ response }: Exchange): void => {
  response
    .writeHead(200, { 'content-type': 'application/xml' })
    .end(
      '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code><Message>We encountered an internal error. Please try again.</Message></Error>',
    );
};
