/** Reads data that differs from the archive a second time, because it may have been damaged in transit. */
import { type ErrorCode, SnapError } from '../../errors.ts';

/** Errors about bytes that are certainly the stored ones. */
const FINAL = new WeakSet<SnapError>();

/** Marks an error as one that a second read would only repeat. */
export function markFinal(error: SnapError): SnapError {
  FINAL.add(error);
  return error;
}

/**
 * @param code the code of errors that damage in transit may have caused.
 * @param read is called at most twice.
 * @param prepare is called before the second read, and reports it. If it returns `false`, there is no second read.
 * @throws the error of the last read.
 */
export async function readAgainIfDamaged<T>(
  code: ErrorCode,
  read: (isAgain: boolean) => Promise<T>,
  prepare: () => Promise<boolean> | boolean,
): Promise<T> {
  try {
    return await read(false);
  } catch (error) {
    const mayBeTransit = error instanceof SnapError && error.code === code && !FINAL.has(error);
    if (!mayBeTransit || !(await prepare())) throw error;
  }
  return read(true);
}
