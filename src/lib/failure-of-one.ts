/** The rule by which work on many things continues after one of them has failed. */
import { asError, SnapError } from '../errors.ts';
import { rootFailure } from './disposal.ts';

/**
 * Returns an error that concerns one thing alone, such as one snapshot, so that the work continues with the others.
 * @throws the error itself if it ends all work: `INTERRUPTED`, or an error that is not a `SnapError`.
 */
export function failureOfOne(thrown: unknown): SnapError {
  const { failure } = rootFailure(thrown);
  if (!(failure instanceof SnapError)) throw asError(failure);
  if (failure.code === 'INTERRUPTED') throw failure;
  return failure;
}
