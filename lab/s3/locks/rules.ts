/** The rules of Object Lock. Source: "Locking objects with Object Lock" of the S3 user guide. */
import { ServiceError } from '../../core/contract.ts';
import { type Exchange, header } from '../exchange.ts';
import type { Bucket, StoredVersion } from '../store/model.ts';
import { parseXml } from '../xml.ts';

export type LockMode = 'GOVERNANCE' | 'COMPLIANCE';

export interface Retention {
  mode: LockMode;
  until: Date;
}

/** Locks are among the headers of an object, because responses show them. */
const [MODE, UNTIL, HOLD] = [
  'x-amz-object-lock-mode',
  'x-amz-object-lock-retain-until-date',
  'x-amz-object-lock-legal-hold',
] as const;

type Headers = Record<string, string>;

export const isLockHeader = (name: string): boolean => name === MODE || name === UNTIL;

export function assertLockable({ objectLock }: Bucket): void {
  if (objectLock !== undefined) return;
  throw new ServiceError('InvalidRequest', 'Bucket is missing Object Lock Configuration');
}

/** Checks the lock of a new object, and writes its date in the form of responses. */
export function checkedLock(bucket: Bucket, headers: Headers, now: Date): Headers {
  const { [MODE]: mode, [UNTIL]: until, [HOLD]: hold } = headers;
  if (mode === undefined && until === undefined && hold === undefined) return headers;
  assertLockable(bucket);
  const checked = hold === undefined ? headers : { ...headers, [HOLD]: checkedHold(hold) };
  if (mode === undefined && until === undefined) return checked;
  if (mode === undefined || until === undefined) {
    throw new ServiceError(
      'InvalidArgument',
      'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied',
    );
  }
  return withRetention(checked, checkedRetention(mode, until, now));
}

export function checkedRetention(mode: string | undefined, until: string | undefined, now: Date): Retention {
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') {
    throw new ServiceError('InvalidArgument', 'Unknown wormMode directive.');
  }
  const date = new Date(until ?? '');
  if (Number.isNaN(date.getTime())) {
    throw new ServiceError('InvalidArgument', 'The retain until date must be provided in ISO 8601 format');
  }
  if (date <= now) throw new ServiceError('InvalidArgument', 'The retain until date must be in the future!');
  return { mode, until: date };
}

export function checkedHold(status: string | undefined): 'ON' | 'OFF' {
  if (status === 'ON' || status === 'OFF') return status;
  throw new ServiceError('InvalidArgument', 'Legal Hold must be either of ON or OFF');
}

export const retentionOf = (headers: Headers): Retention | null =>
  headers[MODE] === undefined ? null : { mode: headers[MODE] as LockMode, until: new Date(headers[UNTIL] ?? '') };

export const holdOf = (headers: Headers): string | undefined => headers[HOLD];

export const withHold = (headers: Headers, status: 'ON' | 'OFF'): Headers => ({ ...headers, [HOLD]: status });

export function withRetention(headers: Headers, retention: Retention | null): Headers {
  const { [MODE]: _mode, [UNTIL]: _until, ...others } = headers;
  return retention ? { ...others, [MODE]: retention.mode, [UNTIL]: retention.until.toISOString() } : others;
}

/** Adds the default retention of the bucket, which begins when the version is created. */
export function withDefaultRetention({ objectLock }: Bucket, headers: Headers, now: Date): Headers {
  const rule = objectLock === undefined ? null : defaultOf(objectLock);
  if (!rule || headers[MODE] !== undefined) return headers;
  const until = new Date(now);
  if (rule.years) until.setUTCFullYear(until.getUTCFullYear() + rule.years);
  else until.setUTCDate(until.getUTCDate() + rule.days);
  return withRetention(headers, { mode: rule.mode, until });
}

interface DefaultRetention {
  mode: LockMode;
  days: number;
  years: number;
}

/**
 * @param document the document of PutObjectLockConfiguration.
 * @returns `null` without a rule. @throws ServiceError `MalformedXML`
 */
export function defaultOf(document: string): DefaultRetention | null {
  const configuration = parseXml(Buffer.from(document), 'ObjectLockConfiguration') as {
    ObjectLockEnabled?: string;
    Rule?: { DefaultRetention?: { Mode?: string; Days?: string; Years?: string } }[];
  };
  const { Mode, Days, Years } = configuration.Rule?.[0]?.DefaultRetention ?? {};
  if (configuration.ObjectLockEnabled !== 'Enabled') throw malformed();
  if (!configuration.Rule) return null;
  const isComplete = (Days === undefined) !== (Years === undefined);
  if ((Mode !== 'GOVERNANCE' && Mode !== 'COMPLIANCE') || !isComplete) throw malformed();
  return { mode: Mode, days: Number(Days ?? 0), years: Number(Years ?? 0) };
}

const malformed = (): ServiceError =>
  new ServiceError(
    'MalformedXML',
    'The XML you provided was not well-formed or did not validate against our published schema',
  );

/** Whether the request is allowed to act against governance retention, and says that it wants to. */
export function bypassesGovernance(exchange: Exchange, key: string): boolean {
  if (header(exchange, 'x-amz-bypass-governance-retention')?.toLowerCase() !== 'true') return false;
  const resources = [`arn:aws:s3:::${exchange.bucketName}/${key}`];
  return exchange.context.allowed(exchange.signed.caller, { action: 's3:BypassGovernanceRetention', resources });
}

export const locked = (): ServiceError =>
  new ServiceError('AccessDenied', 'Access Denied because object protected by object lock.', 403);

/** @throws ServiceError `AccessDenied` if the version may not be removed yet. */
export function assertUnlocked(exchange: Exchange, version: StoredVersion): void {
  if (version.isDeleteMarker || !isLocked(version, exchange.context.now())) return;
  const isGoverned = retentionOf(version.headers)?.mode === 'GOVERNANCE' && holdOf(version.headers) !== 'ON';
  if (!isGoverned || !bypassesGovernance(exchange, version.key)) throw locked();
}

/** Whether a legal hold or a retention protects the version. */
export function isLocked(version: StoredVersion, now: Date): boolean {
  if (version.isDeleteMarker) return false;
  const retention = retentionOf(version.headers);
  return holdOf(version.headers) === 'ON' || (retention !== null && retention.until > now);
}
