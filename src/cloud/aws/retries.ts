/** The one retry layer: the SDK's own strategy by class of error, with jitter, told of and remembered. */
import { type RetryErrorInfo, StandardRetryStrategy, type StandardRetryToken } from './sdk.ts';

/**
 * Attempts of each call. EC2's buckets of tokens are shared by everything in an account and refill slowly, and the
 * pauses double from 0.1 s to 20 s at most, so that this many attempts bridge about a minute of trouble.
 */
const ATTEMPTS = 10;

export interface Retry {
  attempt: number;
  because: string;
  waitSeconds: number;
}

/** What went wrong before, by the token of an attempt, and by the error that ended the call. */
const HISTORY = new WeakMap<object, readonly string[]>();

export class ToldRetryStrategy extends StandardRetryStrategy {
  readonly #tell: (retry: Retry) => void;

  constructor(tell: (retry: Retry) => void) {
    super({ maxAttempts: ATTEMPTS });
    this.#tell = tell;
  }

  override async refreshRetryTokenForRetry(
    token: StandardRetryToken,
    errorInfo: RetryErrorInfo,
  ): Promise<StandardRetryToken> {
    if (isFinal(errorInfo)) throw errorInfo.error;
    const because = describe(errorInfo);
    const history = [...(HISTORY.get(token) ?? []), because];
    if (errorInfo.error instanceof Error) HISTORY.set(errorInfo.error, history);
    const refreshed = await super.refreshRetryTokenForRetry(token, errorInfo);
    HISTORY.set(refreshed, history);
    const waitSeconds = refreshed.getRetryDelay() / 1000;
    this.#tell({ attempt: refreshed.getRetryCount() + 1, because, waitSeconds });
    return refreshed;
  }
}

/** Answers that look like trouble for a moment, by their status, and are none. */
const isFinal = ({ error }: RetryErrorInfo): boolean =>
  error instanceof Error && error.name === 'GlacierExpeditedRetrievalNotAvailable';

/** `SlowDown`; with what the EBS direct APIs say besides: `RequestThrottledException (ACCOUNT_THROTTLED)`. */
function describe({ error, errorType }: RetryErrorInfo): string {
  const { name = errorType, Reason } = (error ?? {}) as { name?: string; Reason?: string };
  return Reason === undefined ? name : `${name} (${Reason})`;
}

/** `Throttling ×3, InternalError ×7`: all attempts of the call that ended with this error; empty for a single one. */
export function historyOf(error: object): string {
  const names = HISTORY.get(error) ?? [];
  if (names.length < 2) return '';
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${name} ×${count}`).join(', ');
}
