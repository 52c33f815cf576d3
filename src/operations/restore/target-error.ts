/** Converts system errors about the target of a restore to SnapErrors. */
import { asError, SnapError } from '../../errors.ts';

/** @throws SnapError `TARGET` with the hint for a system error; a SnapError of the work unchanged. */
export async function orTargetError<T>(path: string, hint: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw asTargetError(path, hint, cause);
  }
}

/** The same for synchronous work. @throws SnapError `TARGET` */
export function orTargetErrorNow<T>(path: string, hint: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw asTargetError(path, hint, cause);
  }
}

const asTargetError = (path: string, hint: string, cause: unknown): SnapError =>
  cause instanceof SnapError
    ? cause
    : new SnapError('TARGET', `could not write ${path}: ${asError(cause).message}`, { hint, cause });
