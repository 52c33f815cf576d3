/** Bytes that are not what was archived are read a second time: they may have been damaged in transit. */
import { type ErrorCode, SnapError } from '../../errors.ts';

/** About bytes that are known to be the stored ones. */
const FINAL = new WeakSet<SnapError>();

/** Marks an error as one that a second read would only repeat. */
export function markFinal(error: SnapError): SnapError {
  FINAL.add(error);
  return error;
}

/**
 * @param code of the errors that damage in transit may have caused.
 * @param read may be called twice.
 * @param prepare called before the second read, which it reports; `false` when there cannot be one.
 * @throws what the last read throws.
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
