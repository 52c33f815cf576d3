/** What goes wrong with the place to which something is restored, told as such. */
import { asError, SnapError } from '../../errors.ts';

/** @throws SnapError `TARGET` for whatever the system refuses, with this hint; its own as they are. */
export async function orTargetError<T>(path: string, hint: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw asTargetError(path, hint, cause);
  }
}

/** The same for work that is done at once. @throws SnapError `TARGET` */
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
    : new SnapError('TARGET', `${path} cannot be written: ${asError(cause).message}`, { hint, cause });
