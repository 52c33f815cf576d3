/** Stores one object of an archive with its index: the files of a partition, or an image. */
import { cipherOf } from '../../archive/cipher.ts';
import { type Layout, objectKey } from '../../archive/key.ts';
import type { ManifestObject } from '../../archive/manifest.ts';
import { objectMetadata } from '../../archive/metadata.ts';
import { objectTags } from '../../archive/tags.ts';
import type { ObjectFacts } from '../../cloud/ports.ts';
import type { Probe } from '../../host/filesystems/filesystems.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { commitIndex } from './commit-index.ts';
import { archiveName, type Migration } from './migration.ts';
import { type Content, layoutOf } from './object/content.ts';
import { storeObject } from './object/store-object.ts';
import { StreamIndex } from './object/stream-index.ts';

/** The known facts about the stored filesystem. */
export type FoundFilesystem = Pick<Probe, 'type' | 'uuid' | 'label'> & Pick<ManifestObject, 'geometry'>;

export const UNKNOWN: FoundFilesystem = { type: null, uuid: null, label: null };

/** One stored object of the archive. */
export interface StoredContent {
  readonly object: ManifestObject;
  /** Its index if it was made in memory; `null` if it was a file, or if an earlier run made it. */
  readonly index: Buffer | null;
}

/**
 * Stores one object, then its index. An object that an earlier run completed is kept.
 * @param partition `null` for the disk.
 */
export async function storeContent(
  migration: Migration,
  partition: number | null,
  found: FoundFilesystem,
  content: Content,
): Promise<StoredContent> {
  const { snapshot, settings, services, signal } = migration;
  const layout = layoutOf(content);
  const facts = factsOf(migration, partition, layout, content.expectedBytes);
  const { uuid, label, geometry = null } = found;
  const kept = await migration.progress.keep(facts.key);
  if (kept) return { object: { ...kept, uuid, label, geometry }, index: null };
  await using directory = temporaryDirectory();
  const journal = await migration.progress.journalFor(facts, settings.encryption === null);
  const settled = {
    content,
    facts,
    journal,
    codec: settings.codec,
    encryption: settings.encryption,
    streams: settings.uploadStreams,
    snapshotId: snapshot.id,
    partition,
  };
  using made = content.kind === 'blocks' ? null : new StreamIndex(settled, directory.path);
  const result = await storeObject({ ...settled, index: made }, services.store, services.host, signal);
  const { stored, plainBytes, sockets, indexFile, contentBytes } = result;
  if (sockets) services.host.notify({ code: 'sockets.skipped', snapshot: snapshot.id, key: stored.key, sockets });
  const object: ManifestObject = {
    key: stored.key,
    partition,
    layout,
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
  await journal.stored(object);
  const index = content.kind === 'blocks' ? await content.index.finish() : indexFile;
  if (index === null) return { object, index };
  const indexed = { ...object, index: await commitIndex(migration, { partition, plainBytes, index }) };
  await journal.stored(indexed);
  return { object: indexed, index: typeof index === 'string' ? null : index };
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
