/** Lists the versions of objects. Source: ListObjectVersions of the S3 API reference. */
import { bucketOf, type Exchange, encodeKey, type Operation, sendXml } from '../exchange.ts';
import type { StoredObject, StoredVersion } from '../store/model.ts';
import { compareKeys, pageSize, rolledUp } from './keys.ts';

interface Listing {
  versions: StoredVersion[];
  prefixes: string[];
  truncated: boolean;
}

export const listObjectVersions: Operation = (exchange) => {
  const { name } = bucketOf(exchange);
  const { query } = exchange;
  const most = pageSize(exchange);
  const { versions, prefixes, truncated } = list(exchange, name, most);
  const last = versions.at(-1);
  const isPrefixLast = compareKeys(prefixes.at(-1) ?? '', last?.key ?? '') > 0;
  const next = isPrefixLast ? { key: prefixes.at(-1) ?? '', versionId: undefined } : last;
  sendXml(exchange, 'ListVersionsResult', {
    Name: name,
    Prefix: encodeKey(query.get('prefix') ?? '', query),
    Delimiter: query.get('delimiter'),
    KeyMarker: encodeKey(query.get('key-marker') ?? '', query),
    VersionIdMarker: query.get('version-id-marker') ?? '',
    MaxKeys: most,
    IsTruncated: truncated,
    ...(query.get('encoding-type') === 'url' ? { EncodingType: 'url' } : {}),
    ...(truncated && next ? { NextKeyMarker: encodeKey(next.key, query), NextVersionIdMarker: next.versionId } : {}),
    Version: versions.flatMap((version) => (version.isDeleteMarker ? [] : [describe(exchange, version)])),
    DeleteMarker: versions.flatMap((version) => (version.isDeleteMarker ? [facts(exchange, version)] : [])),
    CommonPrefixes: prefixes.map((Prefix) => ({ Prefix: encodeKey(Prefix, query) })),
  });
};

function list({ store, query }: Exchange, bucket: string, most: number): Listing {
  const [prefix, delimiter] = [query.get('prefix') ?? '', query.get('delimiter') ?? ''];
  const listing: Listing = { versions: [], prefixes: [], truncated: false };
  const after = store.objects.versions(bucket);
  for (const version of after.slice(startOf(after, query))) {
    if (!version.key.startsWith(prefix)) continue;
    const name = rolledUp(version.key, prefix, delimiter);
    const isGroup = name !== version.key;
    if (isGroup && (listing.prefixes.at(-1) === name || query.get('key-marker') === name)) continue;
    if (listing.versions.length + listing.prefixes.length >= most) return { ...listing, truncated: true };
    if (isGroup) listing.prefixes.push(name);
    else listing.versions.push(version);
  }
  return listing;
}

/** A key marker without the id of a version is that of the last version of the key. */
function startOf(versions: readonly StoredVersion[], query: URLSearchParams): number {
  const [key, id] = [query.get('key-marker'), query.get('version-id-marker')];
  if (key === null) return 0;
  const named = id ? versions.findIndex((version) => version.key === key && version.versionId === id) : -1;
  if (named >= 0) return named + 1;
  const next = versions.findIndex((version) => compareKeys(version.key, key) > 0);
  return next < 0 ? versions.length : next;
}

const facts = ({ query, store, bucketName, context }: Exchange, version: StoredVersion) => ({
  Key: encodeKey(version.key, query),
  VersionId: version.versionId,
  IsLatest: store.objects.versionsOf(bucketName, version.key)[0] === version,
  LastModified: version.modified,
  Owner: { ID: context.accountId },
});

const describe = (exchange: Exchange, version: StoredObject) => ({
  ...facts(exchange, version),
  ETag: version.etag,
  Size: version.bytes,
  StorageClass: version.storageClass,
  ...(version.checksum ? { ChecksumAlgorithm: version.checksum.algorithm, ChecksumType: version.checksum.type } : {}),
});
