/** Removes what an interrupted run has stored of a point, which no run will use. */
import { type ArchiveName, keyStem, manifestKey, parseGenerationKey } from '../../../archive/key.ts';
import type { ListedObject } from '../../../cloud/ports.ts';
import { SnapError } from '../../../errors.ts';
import { inParallel } from '../../../lib/parallel.ts';
import { readManifest } from '../../reading/find-archive.ts';
import { archiveName, type Migration } from '../migration.ts';
import { manifestsOfVolume } from './volume-manifests.ts';

/**
 * The caller holds the claim of the snapshot. Every attempt has keys of its own, so that this only saves storage.
 * @throws SnapError `ARCHIVE_EXISTS` if there is a manifest, or if another point uses these objects.
 */
export async function removeUnfinished(migration: Migration): Promise<void> {
  const { snapshot, services, signal, claim } = migration;
  const { store } = services;
  const name = archiveName(migration);
  const left: ListedObject[] = [];
  for await (const object of store.objects(keyStem(name), { signal }))
    if (parseGenerationKey(object.key)?.snapshotId === snapshot.id) left.push(object);
  if (left.length > 0) await assertUnused(name, migration);
  // It may have come while the objects were listed, from a run that has lost its claim.
  await assertFree(name, migration);
  await inParallel(left, CONCURRENCY, signal, async ({ key, etag }, working) => {
    claim.confirm();
    await store.removeIf(key, etag, { signal: working });
  });
}

async function assertFree(name: ArchiveName, { snapshot, services, signal }: Migration): Promise<void> {
  if ((await services.store.head(manifestKey(name), { signal })) === null) return;
  throw new SnapError('ARCHIVE_EXISTS', `${snapshot.id} has an archive, which incremental archives never replace`, {
    hint: 'run the same command again; to archive the snapshot once more, use another --prefix',
  });
}

/** Maximum number of manifests that are read, and of objects that are removed, at the same time. */
const CONCURRENCY = 16;

/** Reads the manifests of the points that may use the objects, which are not older. One that cannot be read may do so. */
async function assertUnused(name: ArchiveName, migration: Migration): Promise<void> {
  const { snapshotId } = name;
  const { services, signal } = migration;
  const manifests = (await manifestsOfVolume(name, migration)).filter(({ isOlder }) => !isOlder);
  await inParallel(manifests, CONCURRENCY, signal, async ({ key, snapshotId: id }, working) => {
    const { point } = await readManifest(key, id, services.store, working);
    if (!point?.content.point.generations.some(({ snapshot }) => snapshot === snapshotId)) return;
    throw new SnapError('ARCHIVE_EXISTS', `${snapshotId} cannot be archived again, because ${id} uses its blocks`, {
      hint: 'restore the older manifest of this snapshot, or archive it under another --prefix',
    });
  });
}
