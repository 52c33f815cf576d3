import { BlockIndexWriter } from '../../archive/block-index.ts';
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { now } from '../../lib/clock.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import type { Services } from '../shared/services.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';
import type { ClaimedWork } from '../sharing/claimed-work.ts';
import { beginState, revertState, VALIDATED } from '../sharing/state-tag.ts';
import { readDisk } from '../source/read-disk.ts';
import { chooseSource, type SnapshotDisk, type Source, withSnapshotDisk } from '../source/snapshot-disk.ts';
import { imageOf, readDiskEnds } from '../source/snapshot-image.ts';
import { checkArchive } from '../verify/check-archive.ts';
import { commitIndex } from './commit-index.ts';
import { commitManifest } from './commit-manifest.ts';
import { type ArchiveDraft, FreshDiskNeeded, type Migration } from './migration.ts';
import type { Content } from './object/object-order.ts';
import { MigrationProgress } from './progress.ts';
import { addObject, storeContent, UNKNOWN } from './store-content.ts';
import { storeDisk, storePartitions } from './store-partitions.ts';
import { validateStored } from './validate-stored.ts';

/**
 * Tags `migrating`, reads the disk, stores its objects, then the manifest, and tags `migrated`. On any failure the tag
 * goes back to what it was and everything borrowed is given back; the snapshot itself is never touched.
 * @param onDone told once the archive is complete and the tag says so; what fails afterwards is a clean-up.
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

/** Blocks are noted with their hashes on their way, so that the image can be proved afterwards by the bucket alone. */
async function archiveDirectly(migration: Migration, onComplete: () => Promise<void>): Promise<void> {
  const { snapshot, settings, services, signal } = migration;
  const disk = await readDiskEnds(snapshot, services, signal);
  const draft: ArchiveDraft = { ...disk, source: 'direct', proof: null, ...nothingYet() };
  const bytes = disk.device.size;
  const index = new BlockIndexWriter({ snapshot: snapshot.id, bytes, blockBytes: BLOCK_BYTES });
  const blocks = imageOf(snapshot, settings, services, index);
  const onPiece = (plain: number, stored: number) => index.piece(plain, stored);
  const content: Content = { layout: 'image', blocks, onPiece, expectedBytes: bytes };
  const stored = await storeContent(migration, null, UNKNOWN, content);
  const body = stored.index ? null : await index.finish();
  const indexed = { partition: null, plainBytes: bytes };
  const object = body ? { ...stored, index: await commitIndex(migration, { ...indexed, index: body }) } : stored;
  await addObject(migration, draft, object);
  if (settings.validate) await validateStored(migration, draft, body);
  migration.claim.confirm();
  await commitManifest(migration, draft);
  await onComplete();
}

const nothingYet = (): Pick<ArchiveDraft, 'objects' | 'recorded' | 'notKept' | 'volumeObstacle' | 'validatedAt'> => ({
  objects: [],
  recorded: [],
  notKept: [],
  volumeObstacle: null,
  validatedAt: null,
});

async function archiveDisk(
  migration: Migration,
  source: Source,
  { device, proof }: SnapshotDisk,
  onComplete: () => Promise<void>,
): Promise<void> {
  const { snapshot, settings, services, signal } = migration;
  const disk = await readDisk(snapshot.id, device, services.host, signal);
  const draft: ArchiveDraft = { ...disk, source, proof, ...nothingYet() };
  if (settings.layout === 'image') await storeDisk(migration, draft);
  else await storePartitions(migration, draft);
  if (settings.validate) await validateDraft(migration, draft);
  signal.throwIfAborted();
  migration.claim.confirm();
  await commitManifest(migration, draft);
  await onComplete();
}

/** Everything read back and compared while the volume is still here. @throws SnapError `DIFFERS` */
async function validateDraft({ snapshot, settings, services, signal }: Migration, draft: ArchiveDraft): Promise<void> {
  const objects = draft.objects.map((facts) => ({ ...facts, facts }));
  const { notKept } = draft;
  const order = { ...settings, snapshotId: snapshot.id, objects, manifest: null, disk: draft, notKept };
  const reading = { streams: settings.uploadStreams, sessionKey: null, contentOnly: false };
  const checks = await checkArchive({ ...order, ...reading }, { ...services, ...reading, signal });
  for (const [index, object] of draft.objects.entries()) {
    // A hash of what is encrypted would tell who has a guess that it is right.
    if (object.cipher === 'none') object.plainSha256 = checks[index]?.plainSha256 ?? null;
  }
  draft.validatedAt = now().toISOString();
}
