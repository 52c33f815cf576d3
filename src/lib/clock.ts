/** Time, in one place: everything in `src/` reads the clock and sleeps through this module. */
import { setTimeout as pause } from 'node:timers/promises';

export const seconds = (count: number): number => count * 1000;
export const minutes = (count: number): number => count * 60_000;

/** The wall clock, for dates that people see. */
export const now = (): Date => new Date();

/** Milliseconds on a clock that never goes back, for durations and deadlines. */
export const monotonic = (): number => performance.now();

/**
 * Sleeps, and hears cancellation.
 * @throws the signal's reason as soon as it is aborted.
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

export interface Watchdog extends Disposable {
  /** To be called at each sign of life. */
  heard(): void;
}

/** @param onSilence called once, when nothing was heard for so many milliseconds. */
export function watchdog(milliseconds: number, onSilence: () => void): Watchdog {
  const timer = setTimeout(onSilence, milliseconds);
  return { heard: () => void timer.refresh(), [Symbol.dispose]: () => clearTimeout(timer) };
}
