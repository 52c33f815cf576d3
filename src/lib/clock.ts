/** All code in `src/` reads the clock and sleeps through this module. */
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';

export const seconds = (count: number): number => count * 1000;
export const minutes = (count: number): number => count * 60_000;

/** The wall clock, for dates that are shown or stored. */
export const now = (): Date => new Date();

/** Milliseconds on a monotonic clock, for durations and deadlines. */
export const monotonic = (): number => performance.now();

/**
 * Sleeps for a number of milliseconds.
 * @throws the reason of the signal as soon as it is aborted.
 */
export async function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  try {
    await pause(milliseconds, undefined, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** Lets timers, signals and other input and output be handled. @throws the reason of the signal when it is aborted. */
export async function nextTurn(signal: AbortSignal): Promise<void> {
  await turn();
  signal.throwIfAborted();
}

/** Calls `onTimeout` after a number of milliseconds, unless it is disposed of first. */
export function startTimer(milliseconds: number, onTimeout: () => void): Disposable {
  const timer = setTimeout(onTimeout, milliseconds);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
