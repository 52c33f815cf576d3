/** The reference for comparing an archive without a disk: its own index. */

import { SnapError } from '../../errors.ts';
import type { Difference } from '../../streams/difference.ts';
import type { ArchivedObject } from '../reading/find-archive.ts';
import { chooseMembers } from '../reading/index/choose-members.ts';
import { imageIndexOf } from '../reading/index/image-index.ts';
import type { Reference } from '../reading/object/sinks.ts';
import type { ReadContext } from '../reading/read-context.ts';
import { checkIndex, indexDifference } from './check-index.ts';

/** The reference of an object without a usable index, which is compared only with the totals in the manifest. */
const ALONE = { kind: 'alone', records: null } as const;

/**
 * An index that cannot be used is a difference, although the object itself may be intact.
 * @param directory a directory for files that are needed as long as the reference is used.
 * @throws SnapError `GPG_KEY`, and the errors of a download.
 */
export async function ownReference(
  object: ArchivedObject,
  snapshotId: string,
  directory: string,
  services: ReadContext,
): Promise<{ reference: Reference; differences: Difference[] }> {
  try {
    const reference = await readReference(object, snapshotId, directory, services);
    return { reference: reference ?? ALONE, differences: await checkIndex(object, services) };
  } catch (error) {
    if (!(error instanceof SnapError) || error.code !== 'DIFFERS') throw error;
    return { reference: ALONE, differences: [indexDifference(error.message)] };
  }
}

/** @returns `null` if there is no readable index. @throws SnapError `DIFFERS`, `GPG_KEY` */
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
  const table = (await imageIndexOf(object, snapshotId, services))?.table;
  return table ? { kind: 'blocks', table } : null;
}
