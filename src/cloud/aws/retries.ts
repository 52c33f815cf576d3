/** The only retry layer: the standard strategy of the SDK with jitter. It also reports and remembers each retry. */
import { type RetryErrorInfo, StandardRetryStrategy, type StandardRetryToken } from './sdk.ts';

/**
 * Attempts per call. Everything in an account shares EC2's request tokens, which refill slowly. The pauses double from
 * 0.1 s up to 20 s, so ten attempts bridge about a minute.
 */
const MAX_CALL_ATTEMPTS = 10;

export interface Retry {
  attempt: number;
  because: string;
  waitSeconds: number;
}

/** The earlier failures of a call, by the retry token of the current attempt and by the error that ended the call. */
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

/** Errors that the SDK regards as transient but that a retry does not resolve. */
const isFinal = ({ error }: RetryErrorInfo): boolean =>
  error instanceof Error && (error.name === 'GlacierExpeditedRetrievalNotAvailable' || isAnswered(error));

/**
 * Whether the service has accepted the signature, and only then refused. While the clock of this machine is wrong by four
 * minutes or more, the SDK would repeat every call that fails, because it corrects its offset with each response. An answer
 * that stalls or is cut short has a status, too, but is not an error of the service (`$fault`).
 */
const isAnswered = (error: { $fault?: string; $metadata?: { httpStatusCode?: number } }): boolean =>
  error.$fault === 'client' && [404, 412].includes(error.$metadata?.httpStatusCode ?? 0);

/** A request that is damaged this many times is not damaged by accident. */
const MAX_DAMAGED_ATTEMPTS = 5;

/** The body that arrived was not the one that was sent. Source: "Error responses" of the S3 API reference. */
const DAMAGED = new Set(['BadDigest', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch', 'IncompleteBody']);

/** Reasons of `ValidationException`s of the EBS direct APIs. Only damage in transit makes a block invalid. */
const DAMAGED_BLOCK = new Set(['INVALID_BLOCK', 'WRITE_REQUEST_TIMEOUT']);

/** Whether the request or the response was damaged in transit. Sending the request again helps. */
function wasDamaged(error: unknown): boolean {
  const { name = '', Reason = '' } = (error ?? {}) as { name?: string; Reason?: string };
  return DAMAGED.has(name) || DAMAGED_BLOCK.has(Reason) || isUnreadable(error);
}

/** Whether the response does not come from the service: the SDK attaches it to the error but finds no fault in it. */
export const isUnreadable = (error: unknown): boolean =>
  error instanceof Error &&
  '$response' in error &&
  !('$fault' in error || 'code' in error || /^(Timeout|Abort)Error$/.test(error.name));

/** `SlowDown`, or with the reason that the EBS direct APIs give, `RequestThrottledException (ACCOUNT_THROTTLED)`. */
function describe({ error, errorType }: RetryErrorInfo): string {
  if (isUnreadable(error)) return 'unreadable response';
  const { name = errorType, message = '', code, Reason } = (error ?? {}) as Trouble;
  // Node calls all its errors `Error`, and the SDK renames some of them to `TimeoutError`. The code tells more.
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

/**
 * Summarizes all attempts of the call that ended with this error, as `Throttling ×3, InternalError ×7`.
 * @returns an empty string if there was only one attempt.
 */
export function historyOf(error: object): string {
  const names = HISTORY.get(error) ?? [];
  if (names.length < 2) return '';
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${name} ×${count}`).join(', ');
}
