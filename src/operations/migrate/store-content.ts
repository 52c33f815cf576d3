/** Stores one object of an archive with its index: the files of a partition, or an image. */
import { cipherOf } from '../../archive/cipher.ts';
import { objectKey } from '../../archive/key.ts';
import type { ManifestObject } from '../../archive/manifest.ts';
import { objectMetadata } from '../../archive/metadata.ts';
import { objectTags } from '../../archive/tags.ts';
import type { ObjectFacts } from '../../cloud/ports.ts';
import type { Probe } from '../../host/filesystems/filesystems.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { commitIndex } from './commit-index.ts';
import { archiveName, type Migration } from './migration.ts';
import { type Content, layoutOf } from './object/content.ts';
import type { ObjectOrder } from './object/object-order.ts';
import { type StoredStream, storeObject } from './object/store-object.ts';
import { StreamIndex } from './object/stream-index.ts';

/** The known facts about the stored filesystem. */
export type FoundFilesystem = Pick<Probe, 'type' | 'uuid' | 'label'> & Pick<ManifestObject, 'geometry'>;

export const UNKNOWN: FoundFilesystem = { type: null, uuid: null, label: null };

/** One stored object of the archive. */
export interface StoredContent {
  readonly object: ManifestObject;
  /** The index of the object if it was made in memory; `null` if it is in a file, or if an earlier run made it. */
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
  const facts = factsOf(migration, partition, content);
  const kept = await migration.journal.keep(facts.key);
  if (kept) return { object: { ...kept, ...namesOf(found) }, index: null };
  const { settings, services, signal } = migration;
  await using directory = temporaryDirectory();
  const obstacle = settings.encryption && 'gpg encrypts the same bytes differently each time';
  const journal = await migration.journal.journalFor(facts, obstacle);
  const settled = {
    content,
    facts,
    mustBeNew: false,
    journal,
    codec: settings.codec,
    encryption: settings.encryption,
    streams: settings.uploadStreams,
    snapshotId: migration.snapshot.id,
    partition,
  };
  const streamIndex = content.kind === 'blocks' ? null : new StreamIndex(settled, directory.path);
  const result = await storeObject({ ...settled, index: streamIndex }, services.store, services.host, signal);
  reportSockets(result, migration);
  const object = manifestObject(settled, found, result);
  await journal.stored(object);
  const index = content.kind === 'blocks' ? ((await content.index?.finish()) ?? null) : result.indexFile;
  if (index === null) return { object, index };
  const { plainBytes } = object;
  const indexed = { ...object, index: await commitIndex(migration, { partition, plainBytes, index }) };
  await journal.stored(indexed);
  return { object: indexed, index: typeof index === 'string' ? null : index };
}

function reportSockets({ stored, sockets }: StoredStream, { snapshot, services }: Migration): void {
  if (sockets) services.host.notify({ code: 'sockets.skipped', snapshot: snapshot.id, key: stored.key, sockets });
}

const namesOf = ({ uuid, label, geometry = null }: FoundFilesystem) => ({ uuid, label, geometry });

/** The description of a stored object in the manifest, before it has an index. */
const manifestObject = (
  { content, codec, encryption, partition }: Omit<ObjectOrder, 'index'>,
  found: FoundFilesystem,
  { stored, plainBytes, sockets, contentBytes }: StoredStream,
): ManifestObject => ({
  key: stored.key,
  partition,
  layout: layoutOf(content),
  codec: codec.name,
  compressionLevel: codec.level,
  cipher: cipherOf(encryption),
  filesystem: found.type,
  ...namesOf(found),
  contentBytes,
  plainBytes,
  plainSha256: null,
  storedBytes: stored.bytes,
  etag: stored.etag,
  versionId: stored.versionId,
  checksum: stored.checksum,
  socketsSkipped: sockets,
  index: null,
});

function factsOf(migration: Migration, partition: number | null, content: Content): ObjectFacts {
  const { snapshot, settings } = migration;
  const key = objectKey({
    ...archiveName(migration),
    partition,
    layout: layoutOf(content),
    codec: settings.codec.name,
    cipher: cipherOf(settings.encryption),
  });
  return {
    key,
    metadata: objectMetadata(snapshot, content.expectedBytes),
    tags: objectTags(snapshot.tags, settings.tagKey).tags,
    lock: migration.lock,
  };
}
