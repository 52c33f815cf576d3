/** The retention and the legal hold of one version. Sources: PutObjectRetention etc. of the S3 API reference. */
import { ServiceError } from '../../core/contract.ts';
import { bucketOf, type Exchange, type Operation, sendEmpty, sendXml, smallBody } from '../exchange.ts';
import { objectOf } from '../objects.ts';
import type { StoredObject } from '../store/model.ts';
import { parseXml } from '../xml.ts';
import {
  assertLockable,
  bypassesGovernance,
  checkedHold,
  checkedRetention,
  holdOf,
  locked,
  type Retention,
  retentionOf,
  withHold,
  withRetention,
} from './rules.ts';

export const getObjectRetention: Operation = (exchange) => {
  const retention = retentionOf(lockable(exchange).headers);
  if (!retention) throw notLocked();
  sendXml(exchange, 'Retention', { Mode: retention.mode, RetainUntilDate: retention.until.toISOString() });
};

/** An empty document removes the retention. */
export const putObjectRetention: Operation = async (exchange) => {
  const object = lockable(exchange);
  const { Mode, RetainUntilDate } = parseXml(await smallBody(exchange), 'Retention') as Record<string, string>;
  const isRemoval = Mode === undefined && RetainUntilDate === undefined;
  const wanted = isRemoval ? null : checkedRetention(Mode, RetainUntilDate, exchange.context.now());
  if (!mayChange(exchange, retentionOf(object.headers), wanted)) throw locked();
  replaceHeaders(exchange, object, withRetention(object.headers, wanted));
  sendEmpty(exchange, 200);
};

/** Every retention may be extended. Only governance may be weakened, by callers who may bypass it. */
function mayChange(exchange: Exchange, present: Retention | null, wanted: Retention | null): boolean {
  if (!present || present.until <= exchange.context.now()) return true;
  const isKept = wanted !== null && wanted.until >= present.until;
  if (isKept && (wanted.mode === present.mode || wanted.mode === 'COMPLIANCE')) return true;
  return present.mode === 'GOVERNANCE' && bypassesGovernance(exchange, exchange.key);
}

export const getObjectLegalHold: Operation = (exchange) => {
  const status = holdOf(lockable(exchange).headers);
  if (status === undefined) throw notLocked();
  sendXml(exchange, 'LegalHold', { Status: status });
};

export const putObjectLegalHold: Operation = async (exchange) => {
  const object = lockable(exchange);
  const { Status } = parseXml(await smallBody(exchange), 'LegalHold') as { Status?: string };
  replaceHeaders(exchange, object, withHold(object.headers, checkedHold(Status)));
  sendEmpty(exchange, 200);
};

function lockable(exchange: Exchange): StoredObject {
  assertLockable(bucketOf(exchange));
  return objectOf(exchange);
}

const replaceHeaders = ({ store, bucketName }: Exchange, object: StoredObject, headers: Record<string, string>): void =>
  store.objects.update(bucketName, { ...object, headers });

const notLocked = (): ServiceError =>
  new ServiceError(
    'NoSuchObjectLockConfiguration',
    'The specified object does not have a ObjectLock configuration',
    404,
  );
