/** One snapshot into one archive, in the order that keeps data safe. */
import { statfs } from 'node:fs/promises';
import { BlockIndexWriter } from '../../archive/block-index.ts';
import { cipherOf } from '../../archive/cipher.ts';
import { type Layout, objectKey } from '../../archive/key.ts';
import type { ManifestObject } from '../../archive/manifest.ts';
import { objectMetadata } from '../../archive/metadata.ts';
import { nameOfPart } from '../../archive/partition-facts.ts';
import { objectTags } from '../../archive/tags.ts';
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import type { ObjectFacts, Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { deviceSize, sectorsWritten } from '../../host/devices/block-devices.ts';
import { notKeptOutside } from '../../host/disks/outside-partitions.ts';
import { openPartition } from '../../host/disks/partition-device.ts';
import { readGeometry } from '../../host/filesystems/filesystem-geometry.ts';
import { lackOfNames, namesOn, obstacleOn } from '../../host/filesystems/filesystem-obstacles.ts';
import { type Probe, probe, treatmentOf } from '../../host/filesystems/filesystems.ts';
import { kernelErrors } from '../../host/filesystems/kernel-errors.ts';
import { mountReadOnly } from '../../host/filesystems/mounts.ts';
import { now } from '../../lib/clock.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import { inParallel } from '../../lib/parallel.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { noteObstacle, noteTableObstacle, type Space } from '../restore/volume-obstacle.ts';
import type { Services } from '../shared/services.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';
import type { ClaimedWork } from '../sharing/claimed-work.ts';
import { beginState, revertState, VALIDATED } from '../sharing/state-tag.ts';
import { mountDirectory } from '../source/mount-directory.ts';
import { readDisk } from '../source/read-disk.ts';
import { chooseSource, openSnapshotDisk, type SnapshotDisk, type Source } from '../source/snapshot-disk.ts';
import { imageOf, readDiskEnds } from '../source/snapshot-image.ts';
import { checkArchive } from '../verify/check-archive.ts';
import { commitIndex } from './commit-index.ts';
import { commitManifest } from './commit-manifest.ts';
import { type ArchiveDraft, archiveName, FreshDiskNeeded, type Migration } from './migration.ts';
import { countingNotKept, reportNotKept } from './note-not-kept.ts';
import type { Content } from './object/object-order.ts';
import { storeObject } from './object/store-object.ts';
import { StreamIndex } from './object/stream-index.ts';
import { MigrationProgress } from './progress.ts';
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
  await using disk = await openSnapshotDisk(source, { ...migration, ...order });
  await archiveDisk({ ...migration, signal: disk.signal }, source, disk, onComplete);
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

/** What is known of what is stored. */
type Found = Pick<Probe, 'type' | 'uuid' | 'label'> & Pick<ManifestObject, 'geometry'>;

const UNKNOWN: Found = { type: null, uuid: null, label: null };

async function storeDisk(migration: Migration, draft: ArchiveDraft): Promise<void> {
  const content: Content = { layout: 'image', device: draft.device.path, expectedBytes: draft.device.size };
  await addObject(migration, draft, await storeContent(migration, null, UNKNOWN, content));
}

async function storePartitions(migration: Migration, draft: ArchiveDraft): Promise<void> {
  const { device, table } = draft;
  const { snapshot, settings, services } = migration;
  if (table.doubt !== null) {
    assertNotStrict(migration, null, table.doubt);
    keepRaw(migration, null, table.doubt);
    await storeDisk(migration, draft);
    return;
  }
  for (const partition of table.beyondEnd)
    services.host.notify({ code: 'partition.recorded', snapshot: snapshot.id, partition, reason: BEYOND_END });
  if (table.kind === 'none') {
    await storePartition(migration, draft, null, device.path, device.size);
    return;
  }
  await noteTable(migration, draft);
  const most = settings.concurrentPartitions;
  await inParallel(table.partitions, most, migration.signal, async (partition, signal) => {
    await using opened = await openPartition(device.path, partition, signal);
    await storePartition({ ...migration, signal }, draft, partition.number, opened.path, partition.size);
  });
  draft.objects.sort(byPartition);
  draft.recorded.sort(byPartition);
}

/** What the partitions and the manifest do not hold of the disk, and whether a new one can be partitioned like it. */
async function noteTable(migration: Migration, draft: ArchiveDraft): Promise<void> {
  const { device, table } = draft;
  draft.notKept = await notKeptOutside(device.path, table, migration.signal);
  reportNotKept(null, draft.notKept, '--dd keeps everything', migration);
  draft.volumeObstacle = await noteTableObstacle(draft, migration);
}

const BEYOND_END = 'it begins beyond the end of the disk';

/** @throws SnapError `UNREADABLE` for what holds files that cannot be archived as such. */
function assertNotStrict({ settings }: Migration, partition: number | null, reason: string): void {
  if (!settings.strict) return;
  throw new SnapError('UNREADABLE', `${nameOfPart(partition)} cannot be archived as files: ${reason}`, {
    hint: 'without --strict it is kept as an image; with --dd, the whole disk is',
  });
}

/** Tells that a partition, or (`null`) the whole disk, is kept bit by bit. */
function keepRaw({ snapshot, services }: Migration, partition: number | null, reason: string): void {
  services.host.notify({ code: 'partition.raw', snapshot: snapshot.id, partition, reason });
}

type OfPartition = Pick<ManifestObject, 'partition'>;
const byPartition = (one: OfPartition, other: OfPartition): number => (one.partition ?? 0) - (other.partition ?? 0);

/** Mounts and tars what can be mounted; records swap; keeps anything else bit by bit. Nothing is dropped silently. */
async function storePartition(
  migration: Migration,
  draft: ArchiveDraft,
  number: number | null,
  device: string,
  size: number,
): Promise<void> {
  const { snapshot, services, signal } = migration;
  const found = await probe(device, signal);
  const treatment = treatmentOf(found);
  if (treatment.how === 'record') {
    const { type: filesystem, uuid, label } = found;
    services.host.notify({
      code: 'partition.recorded',
      snapshot: snapshot.id,
      partition: number,
      reason: treatment.reason,
    });
    draft.recorded.push({ partition: number, filesystem, uuid, label, bytes: size, reason: treatment.reason });
    return;
  }
  const before = sectorsWritten(device);
  const obstacle =
    migration.asImages.get(number) ??
    (treatment.how === 'mount' ? await obstacleOn(treatment.type, device, signal) : treatment.reason);
  const stored = obstacle ?? (await storeFiles(migration, number, device, size, found));
  if (typeof stored === 'object') {
    return addObject(migration, draft, stored);
  }
  if (treatment.how === 'mount' || found.isContradictory) assertNotStrict(migration, number, stored);
  if (obstacle === null && sectorsWritten(device) !== before) throw new FreshDiskNeeded(number, stored);
  keepRaw(migration, number, stored);
  const content: Content = { layout: 'image', device, expectedBytes: size };
  await addObject(migration, draft, await storeContent(migration, number, found, content));
}

async function addObject({ progress }: Migration, draft: ArchiveDraft, object: ManifestObject): Promise<void> {
  draft.objects.push(object);
  await progress.add(object);
}

/** @returns the stored object, or why the filesystem cannot be mounted, or which file cannot be read. */
async function storeFiles(
  migration: Migration,
  number: number | null,
  device: string,
  size: number,
  found: Probe,
): Promise<ManifestObject | string> {
  const { snapshot, settings, services, signal } = migration;
  const directory = mountDirectory(snapshot.id, number, settings, services);
  const filesystem = found.type ?? '';
  try {
    await using mount = await mountReadOnly(device, filesystem, directory, { replay: settings.replayJournals, signal });
    using _held = services.host.hold({ what: `mount at ${directory}`, cleanupCommand: `umount ${directory}` });
    services.host.notify({
      code: 'partition.mounted',
      snapshot: snapshot.id,
      partition: number,
      filesystem,
      mountPoint: directory,
      helper: mount.helper,
    });
    const space = await spaceOf(mount.path, device, size);
    const known = { ...found, geometry: readGeometry(filesystem, device) };
    const before = kernelErrors(device);
    const names = await namesOn(filesystem, device, signal);
    const damage = (members: number | null) => {
      if (kernelErrors(device) !== before) return `${filesystem} is damaged: dmesg tells where`;
      return members === null ? null : lackOfNames(names, members);
    };
    const content: Content = { layout: 'tar', directory: mount.path, expectedBytes: space.usedBytes, damage };
    const mounted = { type: filesystem, device, root: mount.path, partition: number };
    const store = () => storeContent(migration, number, known, content);
    return await noteObstacle(await countingNotKept(mounted, migration, store), space, migration);
  } catch (error) {
    const isOfFilesystem = error instanceof SnapError && ['MOUNT_REFUSED', 'UNREADABLE'].includes(error.code);
    if (isOfFilesystem) return error.message;
    throw error;
  }
}

/**
 * What the filesystem says is in use: close to the length of its tar, without walking a tree that is still loading. Some
 * helpers say nothing; then it is all of the device.
 */
async function spaceOf(directory: string, device: string, size: number): Promise<Space> {
  const { blocks, bfree, bsize } = await statfs(directory);
  if (blocks === 0) return { size, usedBytes: deviceSize(device), roomBytes: null };
  return { size, usedBytes: (blocks - bfree) * bsize, roomBytes: blocks * bsize };
}

async function storeContent(
  migration: Migration,
  partition: number | null,
  found: Found,
  content: Content,
): Promise<ManifestObject> {
  const { snapshot, settings, services, signal } = migration;
  const facts = factsOf(migration, partition, content.layout, content.expectedBytes);
  const { uuid, label, geometry = null } = found;
  const kept = await migration.progress.completed(facts.key);
  if (kept) return { ...kept, uuid, label, geometry };
  await using directory = temporaryDirectory();
  const settled = {
    content,
    facts,
    journal: await migration.progress.journalFor(facts, settings.encryption === null),
    codec: settings.codec,
    encryption: settings.encryption,
    streams: settings.uploadStreams,
    snapshotId: snapshot.id,
    partition,
  };
  using made = 'blocks' in content ? null : new StreamIndex(settled, directory.path);
  const result = await storeObject({ ...settled, index: made }, services.store, services.host, signal);
  const { stored, plainBytes, sockets, indexFile, contentBytes } = result;
  if (sockets) services.host.notify({ code: 'sockets.skipped', snapshot: snapshot.id, key: stored.key, sockets });
  const object: ManifestObject = {
    key: stored.key,
    partition,
    layout: content.layout,
    codec: settings.codec.name,
    compressionLevel: settings.codec.level,
    cipher: cipherOf(settings.encryption),
    filesystem: found.type,
    uuid,
    label,
    geometry,
    contentBytes,
    plainBytes,
    plainSha256: null,
    storedBytes: stored.bytes,
    etag: stored.etag,
    versionId: stored.versionId,
    checksum: stored.checksum,
    socketsSkipped: sockets,
    index: null,
  };
  await migration.progress.add(object);
  if (indexFile === null) return object;
  return { ...object, index: await commitIndex(migration, { partition, plainBytes, index: indexFile }) };
}

function factsOf(migration: Migration, partition: number | null, layout: Layout, plainBytes: number): ObjectFacts {
  const { snapshot, settings } = migration;
  const key = objectKey({
    ...archiveName(migration),
    partition,
    layout,
    codec: settings.codec.name,
    cipher: cipherOf(settings.encryption),
  });
  return {
    key,
    metadata: objectMetadata(snapshot, plainBytes),
    tags: objectTags(snapshot.tags, settings.tagKey).tags,
  };
}
