/** Writes the manifest, which completes the archive. */
import { manifestKey } from '../../archive/key.ts';
import { noteOfLock } from '../../archive/lock-note.ts';
import {
  encodeManifest,
  MANIFEST_FORMAT,
  type Manifest,
  manifestSnapshot,
  publicDisk,
  publicObject,
} from '../../archive/manifest.ts';
import { objectMetadata } from '../../archive/metadata.ts';
import { objectTags } from '../../archive/tags.ts';
import { now } from '../../lib/clock.ts';
import { VERSION } from '../../version.ts';
import { assertAllLocked } from './locks.ts';
import { type ArchiveDraft, archiveName, type Migration } from './migration.ts';
import { encryptBytes } from './object/encrypt.ts';

/** @throws SnapError `NOT_LOCKED` if a stored object lacks its lock; `ARCHIVE_EXISTS` if another run writes a manifest at the same time. */
export async function commitManifest(migration: Migration, draft: ArchiveDraft): Promise<void> {
  const { snapshot, settings, services, signal, lock } = migration;
  const stored = draft.objects.flatMap((object) => [object.key, ...(object.index ? [object.index.key] : [])]);
  if (lock) await assertAllLocked(stored, lock, services.store, signal);
  const key = manifestKey(archiveName(migration));
  const manifest = await buildManifest(migration, draft);
  const { tags } = objectTags(snapshot.tags, settings.tagKey);
  const plainBytes = manifest.objects.reduce((sum, object) => sum + object.plainBytes, 0);
  const facts = { key, metadata: objectMetadata(snapshot, plainBytes), tags, lock };
  const before = await services.store.head(key, { signal });
  await services.store.putSmall(facts, encodeManifest(manifest), before?.etag ?? null, { signal });
  services.host.notify({ code: 'manifest.stored', snapshot: snapshot.id, key });
}

async function buildManifest(migration: Migration, draft: ArchiveDraft): Promise<Manifest> {
  const { device, table } = draft.disk;
  const { snapshot, settings, services } = migration;
  const open: Manifest = {
    format: MANIFEST_FORMAT,
    tool: { name: 'snap-to-s3', version: VERSION },
    snapshot: manifestSnapshot(snapshot, services.region),
    source: draft.source,
    device: draft.proof,
    layout: settings.layout,
    ...(settings.layout === 'tar' ? { replayedJournals: settings.replayJournals } : {}),
    startedAt: migration.startedAt.toISOString(),
    finishedAt: now().toISOString(),
    disk: {
      bytes: device.size,
      sectorBytes: table.sectorBytes,
      table: table.kind,
      partitionTable: table.json,
      bootCode: table.bootCode.toString('base64'),
      // An image contains these bytes itself.
      bootGap: settings.layout === 'tar' ? (table.bootGap?.toString('base64') ?? null) : null,
      notKept: [...draft.notKept],
      volumeObstacle: draft.volumeObstacle,
    },
    objects: [...draft.objects],
    recorded: [...draft.recorded],
    validatedAt: draft.validatedAt,
    ...(migration.lock === null ? {} : { lock: noteOfLock(migration.lock) }),
    sealed: null,
  };
  return settings.encryption ? sealManifest(open, migration) : open;
}

/**
 * Seals everything that is not in the metadata of the objects for the recipients of the archive: tags that objects cannot
 * carry, UUIDs, labels, boot code and others. The rest of the manifest stays readable.
 */
async function sealManifest(open: Manifest, { settings, snapshot, signal }: Migration): Promise<Manifest> {
  const { encryption } = settings;
  if (!encryption) return open;
  const input = Buffer.from(JSON.stringify(open));
  const sealed = await encryptBytes(encryption, input, signal);
  return {
    ...open,
    snapshot: { ...open.snapshot, tags: objectTags(snapshot.tags, settings.tagKey).tags },
    disk: publicDisk(open.disk),
    objects: open.objects.map(publicObject),
    recorded: open.recorded.map((partition) => ({ ...partition, uuid: null, label: null, geometry: null })),
    sealed: sealed.toString('base64'),
  };
}
