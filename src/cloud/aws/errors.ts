/** Translates AWS errors into `SnapError`s. The name of the error decides, never its message. */
import { asError, type ErrorCode, SnapError } from '../../errors.ts';
import { historyOf, isUnreadable } from './retries.ts';

interface AwsError extends Error {
  $metadata?: { httpStatusCode?: number; attempts?: number };
}

interface Rule {
  code: ErrorCode;
  hint: string;
}

const DENIED: Rule = {
  code: 'ACCESS_DENIED',
  hint: 'allow the action to this role or user; docs/permissions.md has the policy for each command',
};
const NO_CREDENTIALS: Rule = {
  code: 'CREDENTIALS',
  hint: 'attach a role to the instance, or set AWS_PROFILE or --profile; expired sessions need a new login',
};
const EXPIRED: Rule = {
  code: 'CREDENTIALS',
  hint: 'log in again, or get new credentials for the session; the credentials of an instance role are renewed automatically',
};
const UNKNOWN_KEY: Rule = {
  code: 'CREDENTIALS',
  hint: 'AWS does not know the access key: check AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN, or the profile that sets them',
};
const WRONG_SECRET: Rule = {
  code: 'CREDENTIALS',
  hint: 'the secret key does not match the access key: check AWS_SECRET_ACCESS_KEY, or the profile that sets both',
};
const UNUSABLE: Rule = { code: 'SNAPSHOT_UNUSABLE', hint: 'check the state of the snapshot in the EC2 console' };
const BUCKET: Rule = { code: 'BUCKET', hint: 'check --bucket, --region and --expected-bucket-owner' };
const UNREADABLE: Rule = {
  code: 'CLOUD_CALL',
  hint: 'a proxy between this machine and AWS may have answered instead of AWS: check HTTPS_PROXY and NO_PROXY',
};

/** Error names that have the same meaning in every call. */
const RULES: Record<string, Rule> = {
  UnauthorizedOperation: DENIED,
  AccessDenied: DENIED,
  AccessDeniedException: DENIED,
  Forbidden: DENIED,
  '403': DENIED,
  AuthFailure: {
    code: 'CREDENTIALS',
    hint: 'AWS does not accept the access key and its secret: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile that sets them',
  },
  CredentialsProviderError: NO_CREDENTIALS,
  ExpiredToken: EXPIRED,
  ExpiredTokenException: EXPIRED,
  RequestExpired: EXPIRED,
  InvalidAccessKeyId: UNKNOWN_KEY,
  InvalidClientTokenId: UNKNOWN_KEY,
  UnrecognizedClientException: UNKNOWN_KEY,
  SignatureDoesNotMatch: WRONG_SECRET,
  InvalidSignatureException: WRONG_SECRET,
  RequestTimeTooSkewed: {
    code: 'CREDENTIALS',
    hint: 'set the clock of this machine: it differs too much from the time at AWS',
  },
  NoSuchBucket: BUCKET,
  NoSuchKey: { code: 'NOT_FOUND', hint: 'check --bucket and --prefix, and whether the archive was completed' },
  InvalidObjectState: { code: 'OBJECT_ARCHIVED', hint: 'thaw the object first; docs/restore.md explains how' },
  PermanentRedirect: BUCKET,
  'InvalidSnapshot.NotFound': { code: 'NOT_FOUND', hint: 'only one region is searched for snapshots: check --region' },
  'InvalidSnapshotID.Malformed': { code: 'USAGE', hint: 'snapshot ids look like snap-0123456789abcdef0' },
  OptInRequired: {
    code: 'SNAPSHOT_UNUSABLE',
    hint: 'the snapshot carries a Marketplace product code: subscribe to the product in this account first',
  },
  EncryptedVolumesNotSupported: {
    code: 'SNAPSHOT_UNUSABLE',
    hint: 'this instance type cannot attach encrypted volumes: run on a current-generation instance',
  },
  VolumeLimitExceeded: { code: 'VOLUME_FAILED', hint: 'ask for a higher EBS quota, or delete volumes' },
  AttachmentLimitExceeded: { code: 'VOLUME_FAILED', hint: 'detach a volume, or run on an instance with free slots' },
  UnknownVolumeType: { code: 'USAGE', hint: 'use --volume-type gp3, gp2, st1, sc1 or standard' },
  VolumeTypeNotAvailableInZone: { code: 'VOLUME_FAILED', hint: 'choose another --volume-type' },
  IncorrectState: UNUSABLE,
};

const awsErrorName = (thrown: unknown): string => (thrown instanceof Error ? thrown.name : '');

export const isAwsError = (thrown: unknown, ...names: string[]): boolean => names.includes(awsErrorName(thrown));

/** Whether the credentials are invalid, as opposed to lacking a permission. */
export const isCredentialError = (thrown: unknown): boolean => RULES[awsErrorName(thrown)]?.code === 'CREDENTIALS';

/**
 * @param doing what was attempted, as a verb phrase such as `create a volume of snap-1`.
 * @returns the abort reason itself if the call was canceled, unless a time limit canceled it.
 */
function toSnapError(thrown: unknown, doing: string, signal?: AbortSignal): unknown {
  if (signal?.aborted) return isTimeout(signal.reason) ? outOfTime(doing, signal.reason) : signal.reason;
  if (thrown instanceof SnapError) return thrown;
  const error = asError(thrown) as AwsError;
  const rule = ruleFor(error);
  const attempts = error.$metadata?.attempts ?? 1;
  const history = historyOf(error);
  const tries = attempts > 1 ? ` after ${attempts} attempts${history === '' ? '' : ` (${history})`}` : '';
  const message = `could not ${doing}${tries}: ${reasonText(error)}`;
  return new SnapError(rule?.code ?? 'CLOUD_CALL', message, {
    hint: rule?.hint ?? 'run the same command again; if it persists, see the AWS Health Dashboard',
    cause: error,
  });
}

/** The reason of `AbortSignal.timeout`, which limits the time of clean-up work. */
const isTimeout = (reason: unknown): boolean => reason instanceof DOMException && reason.name === 'TimeoutError';

const outOfTime = (doing: string, cause: unknown): SnapError =>
  new SnapError('CLOUD_CALL', `could not ${doing}: there was no answer in time, so the outcome is unknown`, {
    hint: 'run the same command again; clean finds what was left behind',
    cause,
  });

function ruleFor(error: AwsError): Rule | undefined {
  if (RULES[error.name]) return RULES[error.name];
  if (isUnreadable(error)) return UNREADABLE;
  const status = error.$metadata?.httpStatusCode;
  // Responses to HEAD have only a status, and S3 answers 400 when a session has expired.
  if (status === 400 && nameOf(error) === 'HTTP 400') return EXPIRED;
  return status === 403 ? DENIED : undefined;
}

/** Responses to HEAD have no error name, only a status. */
const nameOf = ({ name, $metadata }: AwsError): string =>
  /^(Unknown(Error)?|\d+)$/.test(name) && $metadata?.httpStatusCode !== undefined
    ? `HTTP ${$metadata.httpStatusCode}`
    : name;

/**
 * The reason as AWS or Node states it. Texts of the SDK itself are replaced, because they are written for programmers.
 */
function reasonText(error: AwsError): string {
  if (isUnreadable(error)) return `the response cannot be parsed (HTTP ${error.$metadata?.httpStatusCode})`;
  const milliseconds = /@smithy\/.* (\d+) ms/.exec(error.message)?.[1];
  if (milliseconds !== undefined) {
    const isConnecting = error.message.includes('establish a connection');
    return `${isConnecting ? 'no connection within' : 'no data was transferred for'} ${Number(milliseconds) / 1000} s`;
  }
  const [text = ''] = error.message.trim().split(/\.?(?:\n|$)/, 1);
  const isNameOnly = text === '' || text === error.name || /^Unknown(Error)?$/.test(text);
  return error.name === 'Error' && !isNameOnly ? text : `${nameOf(error)}${isNameOnly ? '' : ` (${text})`}`;
}

/**
 * Runs a call and translates its errors.
 * @param doing what is attempted, as a verb phrase such as `create a volume of snap-1`.
 * @throws SnapError for every failure, or the abort reason if the call was canceled.
 */
export async function translateErrors<T>(doing: string, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  try {
    return await call();
  } catch (thrown) {
    throw toSnapError(thrown, doing, signal);
  }
}
