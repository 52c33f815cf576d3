/** Without a disk, an archive is compared with its own index. */

import { SnapError } from '../../errors.ts';
import type { Difference } from '../../streams/difference.ts';
import type { ArchivedObject } from '../reading/find-archive.ts';
import { chooseMembers } from '../reading/index/choose-members.ts';
import { imageIndexOf } from '../reading/index/image-index.ts';
import type { Reference } from '../reading/object/sinks.ts';
import type { ReadContext } from '../reading/read-context.ts';
import { checkIndex, indexDifference } from './check-index.ts';

/** For an object that is compared only with what the manifest records of the whole. */
const ALONE = { kind: 'alone', records: null } as const;

/**
 * An index that cannot be used is a difference; the object itself may still be whole.
 * @param directory where something can be kept as long as the reference is used.
 * @throws SnapError `GPG_KEY`, and what a download throws.
 */
export async function ownReference(
  object: ArchivedObject,
  snapshotId: string,
  directory: string,
  services: ReadContext,
): Promise<{ reference: Reference; differences: Difference[] }> {
  try {
    const reference = await readReference(object, snapshotId, directory, services);
    if (reference) return { reference, differences: [] };
    return { reference: ALONE, differences: await checkIndex(object, services) };
  } catch (error) {
    if (!(error instanceof SnapError) || !['MANIFEST', 'NOT_FOUND'].includes(error.code)) throw error;
    return { reference: ALONE, differences: [indexDifference(error.message)] };
  }
}

/** @returns `null` without an index that can be read. @throws SnapError `MANIFEST`, `NOT_FOUND`, `GPG_KEY` */
async function readReference(
  object: ArchivedObject,
  snapshotId: string,
  directory: string,
  services: ReadContext,
): Promise<Reference | null> {
  if (object.layout === 'tar') {
    const all = await chooseMembers(object, snapshotId, { paths: null, directory, before: null }, services);
    return all && { kind: 'alone', records: all.records };
  }
  const table = (await imageIndexOf(object, services))?.table;
  return table ? { kind: 'blocks', table } : null;
}
