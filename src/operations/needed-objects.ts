/** Of objects that would have to be thawed, those that hold what was asked for. */
import { pathOfMember } from '../compare/disk-tree.ts';
import { WantedPaths } from '../compare/wanted-paths.ts';
import { findArchived } from './archived-objects.ts';
import type { CheckServices } from './check-object.ts';
import type { ArchivedObject } from './find-archive.ts';
import { readFileIndex } from './read-index.ts';
import type { FilesOrder, RestoreSettings } from './settings.ts';

/**
 * Objects that can be read are not looked into: that costs as much as finding out by reading. What is left out is told.
 * @throws SnapError `MANIFEST` for an index that is damaged, `GPG_KEY` for one that cannot be decrypted: before
 *   anything is paid for.
 */
export async function neededObjects(
  snapshot: string,
  objects: readonly ArchivedObject[],
  { paths }: FilesOrder,
  { useIndex }: RestoreSettings,
  services: CheckServices,
): Promise<ArchivedObject[]> {
  if (paths === null || !useIndex || objects.length === 1) return [...objects];
  const keys = objects.map(({ key }) => key);
  const { frozen, thawing } = await findArchived(keys, services.store, services.signal);
  const archived = new Set([...frozen, ...thawing].map(({ key }) => key));
  const needed: ArchivedObject[] = [];
  for (const object of objects) {
    if (!archived.has(object.key) || (await mayHold(snapshot, object, paths, services))) needed.push(object);
    else {
      const reason = 'it holds nothing of what was asked for, and is left in its archive class';
      services.host.notify({ code: 'partition.not-restored', snapshot, partition: object.partition, reason });
    }
  }
  return needed;
}

async function mayHold(
  snapshotId: string,
  object: ArchivedObject,
  paths: readonly string[],
  services: CheckServices,
): Promise<boolean> {
  // A session key is that of the object, not of its index.
  if (!object.facts?.index || (object.cipher !== 'none' && services.sessionKey !== null)) return true;
  const wanted = new WantedPaths(paths);
  for await (const line of readFileIndex(object, snapshotId, services)) {
    // All members come before the pieces.
    if (line.is === 'piece') break;
    const name = pathOfMember(line.member.path)?.toString('latin1');
    if (name !== undefined) wanted.has(name, line.member.type === 'directory');
    if (wanted.matched.size > 0) return true;
  }
  return false;
}
