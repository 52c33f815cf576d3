/** Several things at once. */
import { rootFailure } from './disposal.ts';

/**
 * Works on items in their order, at most so many at once. The first failure stops the others, and is thrown once all
 * of them have ended, with whatever the others could not give back.
 */
export async function inParallel<T>(
  items: readonly T[],
  most: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const waiting = items.values();
  const cleanupFailures: unknown[] = [];
  const fail = (error: unknown) => {
    const found = rootFailure(error);
    cleanupFailures.push(...found.cleanupFailures);
    failed.abort(failed.signal.reason ?? found.failure);
  };
  const worker = async () => {
    for (const item of waiting) {
      if (either.aborted) return;
      await work(item, either).catch(fail);
    }
  };
  await Promise.all(Array.from({ length: most }, worker));
  if (!either.aborted) return;
  throw cleanupFailures.reduce((failure, cleanup) => new SuppressedError(cleanup, failure), either.reason as unknown);
}
