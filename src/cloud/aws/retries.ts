/** The one retry layer: the SDK's own strategy by class of error, with jitter, told of and remembered. */
import { type RetryErrorInfo, StandardRetryStrategy, type StandardRetryToken } from './sdk.ts';

/**
 * Attempts of each call. EC2's buckets of tokens are shared by everything in an account and refill slowly, and the
 * pauses double from 0.1 s to 20 s at most, so that this many attempts bridge about a minute of trouble.
 */
const MAX_CALL_ATTEMPTS = 10;

export interface Retry {
  attempt: number;
  because: string;
  waitSeconds: number;
}

/** What went wrong before, by the token of an attempt, and by the error that ended the call. */
const HISTORY = new WeakMap<object, readonly string[]>();

export class ObservedRetryStrategy extends StandardRetryStrategy {
  readonly #onRetry: (retry: Retry) => void;

  constructor(onRetry: (retry: Retry) => void) {
    super({ maxAttempts: MAX_CALL_ATTEMPTS });
    this.#onRetry = onRetry;
  }

  override async refreshRetryTokenForRetry(
    token: StandardRetryToken,
    errorInfo: RetryErrorInfo,
  ): Promise<StandardRetryToken> {
    if (isFinal(errorInfo)) throw errorInfo.error;
    const because = describe(errorInfo);
    const history = [...(HISTORY.get(token) ?? []), because];
    if (errorInfo.error instanceof Error) HISTORY.set(errorInfo.error, history);
    const isDamaged = wasDamaged(errorInfo.error);
    if (isDamaged && history.length >= MAX_DAMAGED_ATTEMPTS) throw errorInfo.error;
    const refreshed = await super.refreshRetryTokenForRetry(
      token,
      isDamaged ? { ...errorInfo, errorType: 'TRANSIENT' } : errorInfo,
    );
    HISTORY.set(refreshed, history);
    const waitSeconds = refreshed.getRetryDelay() / 1000;
    this.#onRetry({ attempt: refreshed.getRetryCount() + 1, because, waitSeconds });
    return refreshed;
  }
}

/** Answers that look like trouble for a moment, by their status, and are none. */
const isFinal = ({ error }: RetryErrorInfo): boolean =>
  error instanceof Error && error.name === 'GlacierExpeditedRetrievalNotAvailable';

/** Of a request that was damaged on its way each time: by then it is no accident. */
const MAX_DAMAGED_ATTEMPTS = 5;

/** Source: "Error responses" of the S3 API reference. */
const DAMAGED = new Set(['BadDigest', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch', 'IncompleteBody']);

/** `ValidationException`s of the EBS direct APIs. A block is never wrong but for its bytes. */
const DAMAGED_BLOCK = new Set(['INVALID_BLOCK', 'WRITE_REQUEST_TIMEOUT']);

/** Whether the request, or the answer, was not what the other side had sent: sending it again mends that. */
function wasDamaged(error: unknown): boolean {
  const { name = '', Reason = '' } = (error ?? {}) as { name?: string; Reason?: string };
  return DAMAGED.has(name) || DAMAGED_BLOCK.has(Reason) || isUnreadable(error);
}

/** An answer that is none of the service: the SDK has kept it, and knows no fault that it tells of. */
export const isUnreadable = (error: unknown): boolean =>
  error instanceof Error &&
  '$response' in error &&
  !('$fault' in error || 'code' in error || /^(Timeout|Abort)Error$/.test(error.name));

/** `SlowDown`; with what the EBS direct APIs say besides: `RequestThrottledException (ACCOUNT_THROTTLED)`. */
function describe({ error, errorType }: RetryErrorInfo): string {
  if (isUnreadable(error)) return 'unreadable response';
  const { name = errorType, message = '', code, Reason } = (error ?? {}) as Trouble;
  // Node's errors are all called `Error`, and the SDK calls some of those `TimeoutError`.
  if (/^(Timeout)?Error$/.test(name) && code !== undefined) return code;
  if (name === 'Error') return message.split('\n', 1)[0] || errorType;
  return Reason === undefined ? name : `${name} (${Reason})`;
}

interface Trouble {
  name?: string;
  message?: string;
  code?: string;
  Reason?: string;
}

/** `Throttling ×3, InternalError ×7`: all attempts of the call that ended with this error; empty for a single one. */
export function historyOf(error: object): string {
  const names = HISTORY.get(error) ?? [];
  if (names.length < 2) return '';
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${name} ×${count}`).join(', ');
}
