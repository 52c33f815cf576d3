/** What an archive is held against where there is no disk: its own index. */
import type { CheckServices, Reference } from './check-object.ts';
import { imageIndexOf } from './check-object.ts';
import { chooseMembers } from './choose-members.ts';
import type { ArchivedObject } from './find-archive.ts';

/**
 * @param directory where something can be kept as long as the reference is used.
 * @throws SnapError `MANIFEST`, `NOT_FOUND`
 */
export async function ownReference(
  object: ArchivedObject,
  snapshotId: string,
  directory: string,
  services: CheckServices,
): Promise<Reference> {
  if (object.layout === 'tar') {
    const all = await chooseMembers(object, snapshotId, { paths: null, directory, before: null }, services);
    return { how: 'alone', records: all?.records ?? null };
  }
  const table = (await imageIndexOf(object, services))?.table;
  return table ? { how: 'blocks', table } : { how: 'alone', records: null };
}
