/** Lists keys with both versions of the call. */
import { bucketOf, type Exchange, encodeKey, type Operation, sendXml } from '../exchange.ts';
import type { StoredObject } from '../store/model.ts';

interface Listing {
  objects: StoredObject[];
  prefixes: string[];
  truncated: boolean;
  /** The last shown key or common prefix. */
  last: string;
}

/** Returns the keys after `after`. Those with a delimiter after the prefix are grouped. */
function list(exchange: Exchange, bucket: string, after: string, most: number): Listing {
  const prefix = exchange.query.get('prefix') ?? '';
  const delimiter = exchange.query.get('delimiter') ?? '';
  const listing: Listing = { objects: [], prefixes: [], truncated: false, last: '' };
  for (const object of exchange.store.objects.listed(bucket, after)) {
    if (!object.key.startsWith(prefix)) continue;
    const name = rolledUp(object.key, prefix, delimiter);
    if (compareKeys(name, after) <= 0 || listing.prefixes.at(-1) === name) continue;
    if (listing.objects.length + listing.prefixes.length >= most) return { ...listing, truncated: true };
    if (name === object.key) listing.objects.push(object);
    else listing.prefixes.push(name);
    listing.last = name;
  }
  return listing;
}

/** Returns the key, or its part up to the delimiter after the prefix. */
export function rolledUp(key: string, prefix: string, delimiter: string): string {
  const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
  return cut < 0 ? key : key.slice(0, cut + delimiter.length);
}

export const compareKeys = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

export const pageSize = ({ query, context }: Exchange): number =>
  Math.min(Number(query.get('max-keys') ?? 1000), context.pageSize ?? 1000);

export const listObjectsV2: Operation = (exchange) => {
  const { name } = bucketOf(exchange);
  const { query } = exchange;
  const token = query.get('continuation-token');
  const after = token === null ? (query.get('start-after') ?? '') : Buffer.from(token, 'base64').toString();
  const most = pageSize(exchange);
  const listing = list(exchange, name, after, most);
  sendXml(exchange, 'ListBucketResult', {
    ...common(exchange, name, listing, most),
    KeyCount: listing.objects.length + listing.prefixes.length,
    ...(token === null ? {} : { ContinuationToken: token }),
    ...(listing.truncated ? { NextContinuationToken: Buffer.from(listing.last).toString('base64') } : {}),
  });
};

export const listObjects: Operation = (exchange) => {
  const { name } = bucketOf(exchange);
  const most = pageSize(exchange);
  const listing = list(exchange, name, exchange.query.get('marker') ?? '', most);
  sendXml(exchange, 'ListBucketResult', {
    ...common(exchange, name, listing, most),
    Marker: exchange.query.get('marker') ?? '',
    ...(listing.truncated ? { NextMarker: encodeKey(listing.last, exchange.query) } : {}),
  });
};

const common = ({ query }: Exchange, bucket: string, { objects, prefixes, truncated }: Listing, most: number) => ({
  Name: bucket,
  Prefix: encodeKey(query.get('prefix') ?? '', query),
  Delimiter: query.get('delimiter'),
  MaxKeys: most,
  IsTruncated: truncated,
  ...(query.get('encoding-type') === 'url' ? { EncodingType: 'url' } : {}),
  Contents: objects.map(({ key, modified, etag, bytes, storageClass, checksum }) => ({
    Key: encodeKey(key, query),
    LastModified: modified,
    ETag: etag,
    Size: bytes,
    StorageClass: storageClass,
    ...(checksum ? { ChecksumAlgorithm: checksum.algorithm, ChecksumType: checksum.type } : {}),
  })),
  CommonPrefixes: prefixes.map((Prefix) => ({ Prefix: encodeKey(Prefix, query) })),
});
