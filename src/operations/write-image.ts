/** An image written where it is wanted: whole and right, or told as what it is. */
import { SnapError } from '../errors.ts';
import { type CheckServices, checkObject, type ObjectCheck, tableOf } from './check-object.ts';
import type { ArchivedObject } from './find-archive.ts';

/**
 * To a device that nobody uses. Zeros are written too.
 * @param name what the target is called.
 * @throws SnapError `DIFFERS`, `TARGET`, and what `checkObject` throws.
 */
export async function writeToDevice(
  object: ArchivedObject,
  snapshotId: string,
  path: string,
  name: string,
  check: CheckServices,
): Promise<ObjectCheck> {
  const table = await tableOf(object, check);
  const reference = { how: 'write', path, isBlank: false, table, firstBlock: 0, extents: null } as const;
  const found = await checkObject(object, snapshotId, reference, check).catch((error) => {
    throw asTargetError(error, name);
  });
  refuseDifferences(found, `what is on ${name} now is worth nothing`);
  return found;
}

/** What breaks off the thread that writes is the target's. */
export function asTargetError(error: unknown, path: string): unknown {
  if (!(error instanceof SnapError) || error.code !== 'COMPARE_FAILED') return error;
  const why = error.cause instanceof Error ? error.cause.message : error.message;
  return new SnapError('TARGET', `${path} cannot be written: ${why}`, {
    hint: 'make room, or restore elsewhere; then run the same command again',
    cause: error,
  });
}

/** @throws SnapError `DIFFERS` */
export function refuseDifferences({ key, differences, differenceCount }: ObjectCheck, rest: string): void {
  const [first] = differences;
  if (differenceCount === 0 || !first) return;
  throw new SnapError('DIFFERS', `${key}: ${first.detail}; ${rest}`, {
    hint: 'the archive is damaged: look for another copy, or another version of the object',
  });
}
