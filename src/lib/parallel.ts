/** Works on several items concurrently. */
import { rootFailure } from './disposal.ts';

/**
 * Starts work on the items in their order, at most `concurrency` at a time. The first failure cancels the others.
 * @throws the first failure, once all work has ended. Clean-up failures of the other items are attached to it as
 * `SuppressedError`s.
 */
export async function inParallel<T>(
  items: readonly T[],
  concurrency: number,
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
  await Promise.all(Array.from({ length: concurrency }, worker));
  if (!either.aborted) return;
  throw cleanupFailures.reduce((failure, cleanup) => new SuppressedError(cleanup, failure), either.reason as unknown);
}
