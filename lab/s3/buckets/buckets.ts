/** Operations on buckets. */
import { ServiceError } from '../../core/contract.ts';
import { bucketOf, header, type Operation, sendEmpty, sendXml, smallBody } from '../exchange.ts';
import { escapeXml, parseXml } from '../xml.ts';
import { ENABLED_LOCK } from './object-lock.ts';

export const createBucket: Operation = async (exchange) => {
  const { store, bucketName, context } = exchange;
  await smallBody(exchange);
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucketName))
    throw new ServiceError('InvalidBucketName', 'The specified bucket is not valid.');
  if (store.bucket(bucketName))
    throw new ServiceError(
      'BucketAlreadyOwnedByYou',
      'Your previous request to create the named bucket succeeded and you already own it.',
      409,
    );
  const isLocked = header(exchange, 'x-amz-bucket-object-lock-enabled')?.toLowerCase() === 'true';
  store.saveBucket({
    name: bucketName,
    ownerId: context.accountId,
    region: context.region,
    created: context.now().toISOString(),
    ...(isLocked ? { objectLock: ENABLED_LOCK, versioning: 'Enabled' } : {}),
  });
  sendEmpty(exchange, 200, { location: `/${bucketName}` });
};

export const headBucket: Operation = (exchange) =>
  sendEmpty(exchange, 200, { 'x-amz-bucket-region': bucketOf(exchange).region });

export const deleteBucket: Operation = (exchange) => {
  const { name } = bucketOf(exchange);
  if (exchange.store.objects.versions(name).length > 0)
    throw new ServiceError('BucketNotEmpty', 'The bucket you tried to delete is not empty', 409);
  exchange.store.dropBucket(name);
  sendEmpty(exchange, 204);
};

export const listBuckets: Operation = (exchange) =>
  sendXml(exchange, 'ListAllMyBucketsResult', {
    Owner: { ID: exchange.context.accountId },
    Buckets: { Bucket: exchange.store.buckets.map(({ name, created }) => ({ Name: name, CreationDate: created })) },
  });

/** us-east-1 has no location constraint. */
export const getBucketLocation: Operation = (exchange) => {
  const { region } = bucketOf(exchange);
  const text = region === 'us-east-1' ? '' : escapeXml(region);
  const document = `<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${text}</LocationConstraint>`;
  exchange.response.writeHead(200, { 'content-type': 'application/xml' }).end(document);
};

export const getBucketVersioning: Operation = (exchange) => {
  const { versioning } = bucketOf(exchange);
  sendXml(exchange, 'VersioningConfiguration', versioning === undefined ? {} : { Status: versioning });
};

export const putBucketVersioning: Operation = async (exchange) => {
  const { Status } = parseXml(await smallBody(exchange), 'VersioningConfiguration') as { Status?: string };
  if (Status !== 'Enabled' && Status !== 'Suspended')
    throw new ServiceError('MalformedXML', 'The XML you provided was not well-formed', 400);
  const bucket = bucketOf(exchange);
  if (Status === 'Suspended' && bucket.objectLock !== undefined)
    throw new ServiceError(
      'InvalidBucketState',
      'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.',
      409,
    );
  exchange.store.saveBucket({ ...bucket, versioning: Status });
  sendEmpty(exchange, 200);
};
