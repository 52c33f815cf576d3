/** Conditional writes and reads. Source: "Conditional requests" of the S3 user guide. */
import { ServiceError } from '../core/contract.ts';
import { type Exchange, header } from './exchange.ts';
import type { StoredObject } from './store/model.ts';

const failed = (condition: string): ServiceError =>
  new ServiceError('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', 412, {
    Condition: condition,
  });

export function checkWriteConditions(exchange: Exchange): void {
  if (exchange.behaviours.has('ignore-conditions')) return;
  const present = exchange.store.objects.current(exchange.bucketName, exchange.key);
  const noneMatch = header(exchange, 'if-none-match');
  const match = header(exchange, 'if-match');
  if (noneMatch !== undefined && noneMatch !== '*') {
    throw new ServiceError(
      'NotImplemented',
      'A header you provided implies functionality that is not implemented',
      501,
    );
  }
  if (noneMatch === '*' && present) throw failed('If-None-Match');
  if (match === undefined) return;
  if (!present) throw new ServiceError('NoSuchKey', 'The specified key does not exist.', 404);
  if (unquoted(match) !== unquoted(present.etag)) throw failed('If-Match');
}

/** @returns whether the client has the object already (304). */
export function checkReadConditions(exchange: Exchange, object: StoredObject): boolean {
  const match = header(exchange, 'if-match');
  if (match !== undefined && match !== '*' && unquoted(match) !== unquoted(object.etag)) throw failed('If-Match');
  const noneMatch = header(exchange, 'if-none-match');
  return noneMatch !== undefined && (noneMatch === '*' || unquoted(noneMatch) === unquoted(object.etag));
}

const unquoted = (etag: string): string => etag.replaceAll('"', '');
