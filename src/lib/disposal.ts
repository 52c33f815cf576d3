/** Helpers for clean-up work, which must run even if the signal of the actual work has been aborted. */
import { asError, SnapError } from '../errors.ts';
import { minutes } from './clock.ts';

/** Returns a signal for clean-up work. It is independent of other signals and expires after `within` milliseconds. */
export const cleanupSignal = (within: number = minutes(5)): AbortSignal => AbortSignal.timeout(within);

/** Separates the error of the actual work from the errors of the clean-up that followed it. */
export function rootFailure(thrown: unknown): { failure: unknown; cleanupFailures: unknown[] } {
  const cleanupFailures: unknown[] = [];
  let failure = thrown;
  while (failure instanceof SuppressedError) {
    cleanupFailures.push(failure.error);
    failure = failure.suppressed;
  }
  return { failure, cleanupFailures };
}

/**
 * Creates the error for a failed clean-up.
 * @param what the thing that is left behind. @param hint how to remove it, for example a command.
 */
export const cleanupError = (what: string, hint: string, cause: unknown): SnapError =>
  new SnapError('CLEANUP_FAILED', `could not clean up ${what}: ${asError(cause).message}`, { hint, cause });
