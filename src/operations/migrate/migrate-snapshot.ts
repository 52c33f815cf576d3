import { BlockIndexWriter } from '../../archive/block-index.ts';
import type { ManifestObject } from '../../archive/manifest.ts';
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { COMPRESSION_BLOCK_BYTES } from '../../indexing/block-memory.ts';
import { now } from '../../lib/clock.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import type { Services } from '../shared/services.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';
import type { ClaimedWork } from '../sharing/claimed-work.ts';
import { beginState, CONTENT_VALIDATED, revertState, VALIDATED } from '../sharing/state-tag.ts';
import { type Disk, readDisk } from '../source/read-disk.ts';
import { chooseSource, type SnapshotDisk, type Source, withSnapshotDisk } from '../source/snapshot-disk.ts';
import { imageOf, readDiskEnds } from '../source/snapshot-image.ts';
import { checkArchive } from '../verify/check-archive.ts';
import { withHashes } from '../verify/proved-objects.ts';
import { commitManifest } from './commit-manifest.ts';
import { MigrationJournal } from './journal.ts';
import type { LockTerms } from './locks.ts';
import { type ArchiveDraft, FreshDiskNeeded, type Migration, type StoredDisk } from './migration.ts';
import { archivePoint } from './points/archive-point.ts';
import { proveImage } from './prove-image.ts';
import { storeContent, UNKNOWN } from './store-content.ts';
import { storeDisk, storePartitions } from './store-partitions.ts';

/**
 * Sets the state tag to `migrating`, stores the objects of the disk and then the manifest, and sets the tag to `migrated`.
 * After any failure, sets the tag to its previous value and releases all resources. Never changes the snapshot itself.
 * @param onDone is called when the archive is complete and the snapshot is tagged. Later failures concern only clean-up.
 */
export async function migrateSnapshot(
  snapshot: Snapshot,
  settings: MigrateSettings,
  services: Services,
  { claim, signal, onDone }: ClaimedWork,
): Promise<void> {
  const lockTerms = await termsOf(settings, services, signal);
  const order = { snapshot, settings, services, signal, claim, lockTerms };
  const journal = new MigrationJournal(order);
  const migration: Migration = { ...order, startedAt: now(), journal, lock: journal.lock, asImages: new Map() };
  using state = await beginState(
    snapshot,
    { key: settings.tagKey, value: 'migrating', tagBefore: claim.tagBefore },
    services,
    signal,
  );
  let complete = false;
  const onComplete: OnComplete = async (isWeaker = false) => {
    complete = true;
    await journal.finish();
    const validated = isWeaker ? CONTENT_VALIDATED : VALIDATED;
    await state.settle(settings.validate ? validated : 'migrated', cleanupSignal());
    onDone();
  };
  try {
    await archive(migration, onComplete);
  } catch (failure) {
    // After the manifest is written, the archive is complete, even if releasing the volume fails.
    if (!complete) await journal.suspend();
    if (!complete && !claim.lost.aborted) await revertState(state, snapshot.id, settings.tagKey, services.host);
    throw failure;
  }
}

async function termsOf({ lock }: MigrateSettings, { store }: Services, signal: AbortSignal): Promise<LockTerms | null> {
  if (lock === null) return null;
  return { ...lock, from: (await store.check({ signal })).answeredAt };
}

/** @param isWeaker whether the validation does not permit deleting the snapshot (default: false) */
type OnComplete = (isWeaker?: boolean) => Promise<void>;

async function archive(migration: Migration, onComplete: OnComplete): Promise<void> {
  const { snapshot, settings, services } = migration;
  const source = await chooseSource(snapshot, settings, settings.layout, services, migration.signal);
  if (settings.incremental)
    return archivePoint(migration, source, (validation) => onComplete(validation?.packs === 'not-read'));
  if (source === 'direct' && settings.layout === 'image') return archiveDirectly(migration, onComplete);
  try {
    await archiveFrom(source, migration, onComplete);
  } catch (error) {
    if (!(error instanceof FreshDiskNeeded)) throw error;
    // The second attempt finds the stored objects by their keys, and keeps them.
    const asImages = new Map([...migration.asImages, [error.partition, error.reason] as const]);
    await archive({ ...migration, asImages }, onComplete);
  }
}

/** A second attempt uses a volume for images, which is never mounted, so it does not get the volume of the first attempt. */
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

/** Records the hash of each block while it is read, so that the image can be validated later without the snapshot. */
async function archiveDirectly(migration: Migration, onComplete: () => Promise<void>): Promise<void> {
  const { snapshot, settings, services, signal } = migration;
  const disk = await readDiskEnds(snapshot, services, signal);
  const bytes = disk.device.size;
  const index = new BlockIndexWriter({ snapshot: snapshot.id, bytes, blockBytes: BLOCK_BYTES });
  const blocks = imageOf(snapshot, settings, services, index);
  const stored = await storeContent(migration, null, UNKNOWN, {
    kind: 'blocks',
    blocks,
    expectedBytes: bytes,
    frameBytes: COMPRESSION_BLOCK_BYTES,
    onFrame: (plain, position) => index.piece(plain, position),
    index,
  });
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
 * Reads all objects back and compares them with the disk while it is still attached.
 * @returns the objects with their hashes.
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
