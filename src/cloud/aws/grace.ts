/**
 * Cancels calls that change something only some time after the signal was aborted: an outcome that is known can be undone or
 * used. Without a limit, a service that does not respond would keep an interrupted run waiting for ten attempts.
 */
import { seconds, startTimer } from '../../lib/clock.ts';
import { cleanupSignal } from '../../lib/disposal.ts';

/** Milliseconds that a call may take after the abort. */
export const GRACE = seconds(30);

/** Completing a large upload takes longer than other calls. */
export const COMPLETION_GRACE = seconds(60);

/** A signal for finding out the outcome of a call that has failed or was canceled by its signal. */
export const inquirySignal = (late: AbortSignal): AbortSignal => (late.aborted ? cleanupSignal(seconds(10)) : late);

/** @param call gets a signal that is aborted `grace` milliseconds after the given one. */
export async function withGrace<T>(
  signal: AbortSignal,
  grace: number,
  call: (late: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const late = new AbortController();
  using timers = new DisposableStack();
  const onAbort = () => timers.use(startTimer(grace, () => late.abort(signal.reason)));
  timers.defer(() => signal.removeEventListener('abort', onAbort));
  signal.addEventListener('abort', onAbort, { once: true });
  return await call(late.signal);
}
