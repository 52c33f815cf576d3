/** Polls for a state elsewhere, with a deadline, cancellation, and a record of the states seen. */
import { SnapError } from '../errors.ts';
import { monotonic, sleep } from './clock.ts';

export type Verdict = 'done' | 'again';

export interface WaitOptions {
  /** What is awaited, for the error message: `vol-1 (of snap-1) to become available`. */
  what: string;
  /** Milliseconds after which the wait times out. */
  within: number;
  signal: AbortSignal;
  /** The hint of the timeout error: what to do next. */
  hint?: string;
  /** Milliseconds before the second poll. Each further pause is 1.5 times as long, up to `longestPause`. */
  firstPause?: number;
  longestPause?: number;
}

export interface Observation<T> {
  verdict: Verdict;
  value: T;
  /** The state that was seen, for the error message: `creating`, `not found`. */
  seen: string;
}

/**
 * Calls `look` until its verdict is `done`. An error of `look` ends the wait.
 * @throws SnapError `WAIT_TIMEOUT`, whose message ends with the states that were seen: `(states seen: creating ×38, not
 * found ×2)`.
 */
export async function waitFor<T>(look: () => Promise<Observation<T>>, options: WaitOptions): Promise<T> {
  const { firstPause = 200, longestPause = 5000 } = options;
  const deadline = monotonic() + options.within;
  const history = new Map<string, number>();
  for (let pause = firstPause; ; pause = Math.min(pause * 1.5, longestPause)) {
    options.signal.throwIfAborted();
    const observation = await look();
    if (observation.verdict === 'done') return observation.value;
    history.set(observation.seen, (history.get(observation.seen) ?? 0) + 1);
    if (monotonic() + pause > deadline) throw timedOut(options, history);
    await sleep(pause, options.signal);
  }
}

function timedOut(options: WaitOptions, history: Map<string, number>): SnapError {
  const seen = [...history].map(([state, count]) => `${state} ×${count}`).join(', ');
  const seconds = Math.round(options.within / 1000);
  const message = `timed out after ${seconds} s waiting for ${options.what} (states seen: ${seen})`;
  return new SnapError('WAIT_TIMEOUT', message, options.hint === undefined ? {} : { hint: options.hint });
}
