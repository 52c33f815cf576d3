/** The Object Lock configuration of buckets. It requires versioning, and cannot be removed. */
import { ServiceError } from '../../core/contract.ts';
import { bucketOf, type Operation, sendEmpty, smallBody } from '../exchange.ts';
import { defaultOf } from '../locks/rules.ts';
import { xmlDocument } from '../xml.ts';

/** The configuration of buckets that are created with Object Lock. */
export const ENABLED_LOCK = xmlDocument('ObjectLockConfiguration', { ObjectLockEnabled: 'Enabled' });

export const getObjectLockConfiguration: Operation = (exchange) => {
  const { objectLock } = bucketOf(exchange);
  if (objectLock === undefined)
    throw new ServiceError(
      'ObjectLockConfigurationNotFoundError',
      'Object Lock configuration does not exist for this bucket',
      404,
    );
  exchange.response.writeHead(200, { 'content-type': 'application/xml' }).end(objectLock);
};

export const putObjectLockConfiguration: Operation = async (exchange) => {
  const objectLock = (await smallBody(exchange)).toString();
  const bucket = bucketOf(exchange);
  defaultOf(objectLock);
  if (bucket.versioning !== 'Enabled') {
    throw new ServiceError(
      'InvalidBucketState',
      "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
      409,
    );
  }
  exchange.store.saveBucket({ ...bucket, objectLock });
  sendEmpty(exchange, 200);
};
