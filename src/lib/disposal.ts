/** Giving back what was borrowed, when the work's own signal may already be aborted. */
import { asError, SnapError } from '../errors.ts';
import { minutes } from './clock.ts';

/** A signal for clean-up work: it has a deadline of its own, whatever became of the work. */
export const cleanupSignal = (within: number = minutes(5)): AbortSignal => AbortSignal.timeout(within);

/** The error of the work itself, where disposal failed as well and hid it. */
export function rootFailure(thrown: unknown): { failure: unknown; cleanupFailures: unknown[] } {
  const cleanupFailures: unknown[] = [];
  let failure = thrown;
  while (failure instanceof SuppressedError) {
    cleanupFailures.push(failure.error);
    failure = failure.suppressed;
  }
  return { failure, cleanupFailures };
}

/** A failed clean-up, told with what is left behind, why, and how to remove it. */
export const leftBehind = (what: string, hint: string, cause: unknown): SnapError =>
  new SnapError('CLEANUP_FAILED', `could not clean up ${what}: ${asError(cause).message}`, { hint, cause });
