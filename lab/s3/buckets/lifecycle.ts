/** The lifecycle configuration of buckets. */
import { ServiceError } from '../../core/contract.ts';
import { bucketOf, type Operation, sendEmpty, smallBody } from '../exchange.ts';
import { rulesOf } from '../lifecycle/rules.ts';

export const putBucketLifecycle: Operation = async (exchange) => {
  const lifecycle = (await smallBody(exchange)).toString();
  rulesOf(lifecycle);
  exchange.store.saveBucket({ ...bucketOf(exchange), lifecycle });
  sendEmpty(exchange, 200);
};

export const getBucketLifecycle: Operation = (exchange) => {
  const { lifecycle } = bucketOf(exchange);
  if (lifecycle === undefined)
    throw new ServiceError('NoSuchLifecycleConfiguration', 'The lifecycle configuration does not exist', 404);
  exchange.response.writeHead(200, { 'content-type': 'application/xml' }).end(lifecycle);
};

export const deleteBucketLifecycle: Operation = (exchange) => {
  const { lifecycle: _dropped, ...bucket } = bucketOf(exchange);
  exchange.store.saveBucket(bucket);
  sendEmpty(exchange, 204);
};
