/** What goes wrong with the place to which something is restored, told as such. */
import { asError, SnapError } from '../errors.ts';

/** @throws SnapError `TARGET` for whatever the system refuses, with this hint; its own as they are. */
export function orTargetError<T>(path: string, hint: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof SnapError) throw cause;
    throw new SnapError('TARGET', `${path} cannot be written: ${asError(cause).message}`, { hint, cause });
  }
}
