/** What AWS answers, as `SnapError`s: by error name, never by message text. */
import { asError, type ErrorCode, SnapError } from '../../errors.ts';
import { historyOf } from './retries.ts';

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
const CREDENTIALS: Rule = {
  code: 'CREDENTIALS',
  hint: 'give the instance a role, or set AWS_PROFILE or --profile; expired sessions need a new login',
};
const UNUSABLE: Rule = { code: 'SNAPSHOT_UNUSABLE', hint: 'look at the snapshot in the EC2 console' };
const BUCKET: Rule = { code: 'BUCKET', hint: 'check --bucket, --region and --expected-bucket-owner' };

/** Error names that mean one thing in every call. */
const RULES: Record<string, Rule> = {
  UnauthorizedOperation: DENIED,
  AccessDenied: DENIED,
  AccessDeniedException: DENIED,
  Forbidden: DENIED,
  '403': DENIED,
  AuthFailure: CREDENTIALS,
  CredentialsProviderError: CREDENTIALS,
  ExpiredToken: CREDENTIALS,
  ExpiredTokenException: CREDENTIALS,
  RequestExpired: CREDENTIALS,
  InvalidAccessKeyId: CREDENTIALS,
  InvalidClientTokenId: CREDENTIALS,
  SignatureDoesNotMatch: CREDENTIALS,
  RequestTimeTooSkewed: { code: 'CREDENTIALS', hint: 'set the clock of this machine: it is too far from AWS time' },
  NoSuchBucket: BUCKET,
  NoSuchKey: { code: 'NOT_FOUND', hint: 'check --bucket and --prefix, and that the archive was completed' },
  InvalidObjectState: { code: 'OBJECT_ARCHIVED', hint: 'it must be thawed first; docs/restore.md says how' },
  PermanentRedirect: BUCKET,
  'InvalidSnapshot.NotFound': { code: 'NOT_FOUND', hint: 'snapshots are looked for in one region: check --region' },
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
  UnknownVolumeType: { code: 'USAGE', hint: 'use --volume-type gp3, gp2, io1, io2, st1, sc1 or standard' },
  VolumeTypeNotAvailableInZone: { code: 'VOLUME_FAILED', hint: 'choose another --volume-type' },
  IncorrectState: UNUSABLE,
};

const awsErrorName = (thrown: unknown): string => (thrown instanceof Error ? thrown.name : '');

export const isAwsError = (thrown: unknown, ...names: string[]): boolean => names.includes(awsErrorName(thrown));

/**
 * @param doing what was tried, as a clause that reads after a colon-less name: `create a volume of snap-1`.
 * @returns the abort reason itself when the call was cancelled.
 */
function toSnapError(thrown: unknown, doing: string, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  if (thrown instanceof SnapError) return thrown;
  const error = asError(thrown) as AwsError;
  const rule = ruleFor(error);
  const attempts = error.$metadata?.attempts ?? 1;
  const history = historyOf(error);
  const tries = attempts > 1 ? ` after ${attempts} attempts${history === '' ? '' : ` (${history})`}` : '';
  const message = `could not ${doing}${tries}: ${nameOf(error)}${detail(error)}`;
  return new SnapError(rule?.code ?? 'CLOUD_CALL', message, {
    hint: rule?.hint ?? 'run the same command again; if it persists, see the AWS Health Dashboard',
    cause: error,
  });
}

function ruleFor(error: AwsError): Rule | undefined {
  if (RULES[error.name]) return RULES[error.name];
  const status = error.$metadata?.httpStatusCode;
  // HEAD answers say nothing but a number; S3 answers 400 to sessions that have expired.
  if (status === 400 && nameOf(error) === 'HTTP 400') return CREDENTIALS;
  return status === 403 ? DENIED : undefined;
}

/** Answers to HEAD carry no name, only a number. */
const nameOf = ({ name, $metadata }: AwsError): string =>
  /^(Unknown(Error)?|\d+)$/.test(name) && $metadata?.httpStatusCode !== undefined
    ? `HTTP ${$metadata.httpStatusCode}`
    : name;

/** AWS's sentence, without its closing full stop; nothing where it only repeats the name. */
function detail(error: Error): string {
  const text = error.message.trim().replace(/\.$/, '');
  return text === '' || text === error.name || /^Unknown(Error)?$/.test(text) ? '' : ` (${text})`;
}

/** Runs a call and turns what it throws. */
export async function asking<T>(doing: string, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  try {
    return await call();
  } catch (thrown) {
    throw toSnapError(thrown, doing, signal);
  }
}
