/** Several things at once. */

/**
 * Works on items in their order, at most so many at once. The first failure stops the others, and is thrown once all
 * of them have ended.
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
  const worker = async () => {
    for (const item of waiting) {
      if (either.aborted) return;
      await work(item, either).catch((error) => failed.abort(failed.signal.reason ?? error));
    }
  };
  await Promise.all(Array.from({ length: most }, worker));
  either.throwIfAborted();
}
