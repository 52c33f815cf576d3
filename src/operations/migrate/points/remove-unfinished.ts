/** Removes what an interrupted run has stored of a point, so that its keys are free. */
import { type ArchiveName, keyStem, manifestKey, parseGenerationKey, parseSmallKey } from '../../../archive/key.ts';
import type { ListedObject } from '../../../cloud/ports.ts';
import { SnapError } from '../../../errors.ts';
import { inParallel } from '../../../lib/parallel.ts';
import { readManifest } from '../../reading/find-archive.ts';
import { archiveName, type Migration } from '../migration.ts';

/**
 * The caller holds the claim of the snapshot.
 * @throws SnapError `ARCHIVE_EXISTS` if there is a manifest, or if another point uses these objects.
 */
export async function removeUnfinished(migration: Migration): Promise<void> {
  const { snapshot, services, signal, claim } = migration;
  const { store } = services;
  const name = archiveName(migration);
  if ((await store.head(manifestKey(name), { signal })) !== null)
    throw new SnapError('ARCHIVE_EXISTS', `${snapshot.id} has an archive, which incremental archives never replace`, {
      hint: 'remove the archive first, or use another --prefix',
    });
  const left: ListedObject[] = [];
  for await (const object of store.objects(keyStem(name), { signal }))
    if (parseGenerationKey(object.key)?.snapshotId === snapshot.id) left.push(object);
  if (left.length === 0) return;
  await assertUnused(name, migration);
  for (const { key, etag } of left) {
    claim.confirm();
    await store.removeIf(key, etag, { signal });
  }
}

/** Maximum number of manifests that are read at the same time. */
const CONCURRENCY = 16;

/** Reads the manifests of all points of the volume. One that cannot be read may use the objects. */
async function assertUnused({ prefix, volumeId, snapshotId }: ArchiveName, migration: Migration): Promise<void> {
  const { services, signal } = migration;
  const keys = await services.store.list(`${prefix}${volumeId}/`, { signal });
  const manifests = keys.filter((key) => parseSmallKey(key)?.what === 'manifest');
  await inParallel(manifests, CONCURRENCY, signal, async (key, working) => {
    const id = parseSmallKey(key)?.snapshotId ?? '';
    const { point } = await readManifest(key, id, services.store, working);
    if (!point?.content.point.generations.some(({ snapshot }) => snapshot === snapshotId)) return;
    throw new SnapError('ARCHIVE_EXISTS', `${snapshotId} cannot be archived again, because ${id} uses its blocks`, {
      hint: 'restore the older manifest of this snapshot, or archive it under another --prefix',
    });
  });
}
