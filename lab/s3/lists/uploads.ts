/** Lists the parts of an upload, and the uploads of a bucket. */
import { bucketOf, encodeKey, type Operation, sendXml } from '../exchange.ts';
import { uploadOf } from '../multipart.ts';

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
