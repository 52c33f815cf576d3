/** Reads data that differs from the archive a second time, because it may have been damaged in transit. */
import { type ErrorCode, SnapError } from '../../errors.ts';
import type { Host } from '../../events.ts';

/** Errors about bytes that are certainly the stored ones. */
const FINAL = new WeakSet<SnapError>();

/** Marks an error as one that a second read would only repeat. */
export function markFinal(error: SnapError): SnapError {
  FINAL.add(error);
  return error;
}

/** Whether damage in transit may explain the outcome of a read. */
type Doubt<T> = (outcome: PromiseSettledResult<T>) => boolean;

/** @param code the code of errors that damage in transit may have caused. */
export const failedWith =
  (code: ErrorCode): Doubt<unknown> =>
  (outcome) =>
    outcome.status === 'rejected' &&
    outcome.reason instanceof SnapError &&
    outcome.reason.code === code &&
    !FINAL.has(outcome.reason);

/**
 * Reports the second read, if there is one, and returns its outcome.
 * @param read is called at most twice.
 * @param isDoubtful judges the first read.
 */
export async function readTwice<T>(
  object: { snapshot: string; key: string },
  host: Host,
  read: (isAgain: boolean) => Promise<T>,
  isDoubtful: Doubt<T>,
): Promise<T> {
  const [first] = await Promise.allSettled([read(false)]);
  if (isDoubtful(first)) {
    host.notify({ code: 'object.reread', ...object });
    return read(true);
  }
  if (first.status === 'rejected') throw first.reason;
  return first.value;
}
