import { BlockIndexWriter } from '../../archive/block-index.ts';
import type { ManifestObject } from '../../archive/manifest.ts';
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { now } from '../../lib/clock.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import type { Services } from '../shared/services.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';
import type { ClaimedWork } from '../sharing/claimed-work.ts';
import { beginState, revertState, VALIDATED } from '../sharing/state-tag.ts';
import { type Disk, readDisk } from '../source/read-disk.ts';
import { chooseSource, type SnapshotDisk, type Source, withSnapshotDisk } from '../source/snapshot-disk.ts';
import { imageOf, readDiskEnds } from '../source/snapshot-image.ts';
import { checkArchive } from '../verify/check-archive.ts';
import { withHashes } from '../verify/proved-objects.ts';
import { commitManifest } from './commit-manifest.ts';
import { type ArchiveDraft, FreshDiskNeeded, type Migration, type StoredDisk } from './migration.ts';
import { MigrationProgress } from './progress.ts';
import { proveImage } from './prove-image.ts';
import { storeContent, UNKNOWN } from './store-content.ts';
import { storeDisk, storePartitions } from './store-partitions.ts';

/**
 * Tags `migrating`, reads the disk, stores its objects, then the manifest, and tags `migrated`. On any failure the tag
 * goes back to what it was and everything borrowed is given back; the snapshot itself is never touched.
 * @param onDone is called once the archive is complete and tagged; a later failure concerns only the clean-up.
 */
export async function migrateSnapshot(
  snapshot: Snapshot,
  settings: MigrateSettings,
  services: Services,
  { claim, signal, onDone }: ClaimedWork,
): Promise<void> {
  const progress = new MigrationProgress(snapshot, claim, settings, services, signal);
  const migration: Migration = {
    snapshot,
    settings,
    services,
    signal,
    startedAt: now(),
    claim,
    progress,
    asImages: new Map(),
  };
  using state = await beginState(
    snapshot,
    { key: settings.tagKey, value: 'migrating', tagBefore: claim.tagBefore },
    services,
    signal,
  );
  let complete = false;
  const onComplete = async () => {
    complete = true;
    await progress.finish();
    await state.settle(settings.validate ? VALIDATED : 'migrated', cleanupSignal());
    onDone();
  };
  try {
    await archive(migration, onComplete);
  } catch (failure) {
    // What fails after the manifest is there, such as giving back the volume, makes the archive no less complete.
    if (!complete) await progress.breakOff();
    if (!complete && !claim.lost.aborted) await revertState(state, snapshot.id, settings.tagKey, services.host);
    throw failure;
  }
}

async function archive(migration: Migration, onComplete: () => Promise<void>): Promise<void> {
  const { snapshot, settings, services } = migration;
  const source = await chooseSource(snapshot, settings, settings.layout, services, migration.signal);
  if (source === 'direct' && settings.layout === 'image') return archiveDirectly(migration, onComplete);
  try {
    await archiveFrom(source, migration, onComplete);
  } catch (error) {
    if (!(error instanceof FreshDiskNeeded)) throw error;
    // What has been stored stays: it is found again by its key.
    const asImages = new Map([...migration.asImages, [error.partition, error.reason] as const]);
    await archive({ ...migration, asImages }, onComplete);
  }
}

/** Volumes that nobody has mounted are kept apart from others, so a second attempt is not given a kept one of the first. */
async function archiveFrom(source: Source, migration: Migration, onComplete: () => Promise<void>): Promise<void> {
  const { settings, asImages } = migration;
  const isAgain = asImages.size > 0;
  const order = isAgain
    ? { purpose: 'image' as const, settings: { ...settings, keepVolumes: false } }
    : { purpose: settings.layout };
  await withSnapshotDisk(source, { ...migration, ...order }, (disk) =>
    archiveDisk({ ...migration, signal: disk.signal }, source, disk, onComplete),
  );
}

/** Records the hash of each block while it is read, so that the image can later be validated from the bucket alone. */
async function archiveDirectly(migration: Migration, onComplete: () => Promise<void>): Promise<void> {
  const { snapshot, settings, services, signal } = migration;
  const disk = await readDiskEnds(snapshot, services, signal);
  const bytes = disk.device.size;
  const index = new BlockIndexWriter({ snapshot: snapshot.id, bytes, blockBytes: BLOCK_BYTES });
  const blocks = imageOf(snapshot, settings, services, index);
  const stored = await storeContent(migration, null, UNKNOWN, { kind: 'blocks', blocks, index, expectedBytes: bytes });
  const objects = settings.validate ? await proveImage(migration, disk, stored) : [stored.object];
  const nothingElse = { recorded: [], notKept: [], volumeObstacle: null };
  const draft = { disk, source: 'direct', proof: null, objects, ...nothingElse, ...validatedNow(settings) } as const;
  await complete(migration, draft, onComplete);
}

async function archiveDisk(
  migration: Migration,
  source: Source,
  { device, proof }: SnapshotDisk,
  onComplete: () => Promise<void>,
): Promise<void> {
  const { snapshot, settings, services, signal } = migration;
  const disk = await readDisk(snapshot.id, device, services.host, signal);
  const stored = await (settings.layout === 'image' ? storeDisk : storePartitions)(migration, disk);
  const objects = settings.validate ? await proveObjects(migration, disk, stored) : stored.objects;
  const draft = { disk, source, proof, ...stored, objects, ...validatedNow(settings) };
  await complete(migration, draft, onComplete);
}

const validatedNow = ({ validate }: MigrateSettings): Pick<ArchiveDraft, 'validatedAt'> => ({
  validatedAt: validate ? now().toISOString() : null,
});

async function complete(migration: Migration, draft: ArchiveDraft, onComplete: () => Promise<void>): Promise<void> {
  migration.signal.throwIfAborted();
  migration.claim.confirm();
  await commitManifest(migration, draft);
  await onComplete();
}

/**
 * Everything read back and compared while the volume is still here.
 * @returns the objects with what was proved of them.
 * @throws SnapError `DIFFERS`
 */
async function proveObjects(
  { snapshot, settings, services, signal }: Migration,
  disk: Disk,
  { objects, notKept }: StoredDisk,
): Promise<ManifestObject[]> {
  const archived = objects.map((facts) => ({ ...facts, facts }));
  const order = { ...settings, snapshotId: snapshot.id, objects: archived, manifest: null, disk, notKept };
  const reading = { streams: settings.uploadStreams, sessionKey: null, contentOnly: false };
  const checks = await checkArchive({ ...order, ...reading }, { ...services, ...reading, signal });
  return withHashes(objects, checks);
}
