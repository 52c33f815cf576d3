/** Multipart uploads. Source: "Uploading and copying objects using multipart upload" of the S3 user guide. */
import { randomUUID } from 'node:crypto';
import { ServiceError } from '../core/contract.ts';
import { receiveBody } from './body.ts';
import { type Algorithm, allowsType, type ChecksumType, defaultType, headerOf, isAlgorithm } from './checksums.ts';
import { bucketOf, type Exchange, header, type Operation, sendEmpty, sendXml } from './exchange.ts';
import { encryptionHeaders, readHead } from './head-fields.ts';
import { checkKey } from './objects.ts';
import type { StoredPart, Upload } from './store/model.ts';

const LARGEST_PART = 5 * 2 ** 30;
const MAX_PARTS = 10_000;

export const createMultipartUpload: Operation = (exchange) => {
  const bucket = bucketOf(exchange);
  const { store, context, key } = exchange;
  checkKey(key);
  const upload: Upload = {
    ...readHead(exchange, bucket),
    id: randomUUID().replaceAll('-', ''),
    bucket: bucket.name,
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
    { Bucket: bucket.name, Key: key, UploadId: upload.id },
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

export const abortMultipartUpload: Operation = (exchange) => {
  exchange.store.dropUpload(uploadOf(exchange), []);
  sendEmpty(exchange, 204);
};
