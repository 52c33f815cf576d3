/** Stores the blocks of a generation in packs. */
import { cipherOf } from '../../../archive/cipher.ts';
import { type AttemptName, packKey } from '../../../archive/key.ts';
import type { ManifestObject } from '../../../archive/manifest.ts';
import { objectMetadata } from '../../../archive/metadata.ts';
import { POINT_FORMAT } from '../../../archive/points/point-manifest.ts';
import { objectTags } from '../../../archive/tags.ts';
import { BLOCK_BYTES } from '../../../cloud/blocks.ts';
import type { StoredObject } from '../../../cloud/ports.ts';
import { CHAIN_RULES } from '../../../costs/archiving/chain-rules.ts';
import { SnapError } from '../../../errors.ts';
import { blockSequence, sequenceBytes } from '../../../transfer/block-sequence.ts';
import type { Migration } from '../migration.ts';
import type { ObjectOrder } from '../object/object-order.ts';
import { storeObject } from '../object/store-object.ts';
import type { PointSource } from './point-source.ts';
import { RecordedBlocks } from './recorded-blocks.ts';

/**
 * Stores blocks in ascending order, one pack after another.
 * @throws the errors of `storeObject`. The packs that are complete then belong to no archive.
 */
export async function storePacks(
  migration: Migration,
  name: AttemptName,
  source: PointSource,
  indexes: Uint32Array,
): Promise<RecordedBlocks> {
  const recorded = new RecordedBlocks(indexes);
  for (let first = 0; first < indexes.length; first += CHAIN_RULES.packBlocks) {
    migration.signal.throwIfAborted();
    await storePack(migration, name, { source, recorded, first });
  }
  return recorded;
}

interface PackOrder {
  source: PointSource;
  recorded: RecordedBlocks;
  /** The position of the first block of the pack in `recorded`. */
  first: number;
}

async function storePack(migration: Migration, name: AttemptName, pack: PackOrder): Promise<void> {
  const { recorded, first } = pack;
  const { settings, services, signal } = migration;
  const order = await orderFor(migration, name, pack);
  const { stored, plainBytes } = await storeObject(order, services.store, services.host, signal);
  // The first one is sufficient for `clean`, which then finds all objects of the snapshot.
  if (first === 0) await order.journal.stored(objectOf(order, stored, plainBytes));
  else migration.journal.forgetUpload(stored.key);
  recorded.addPack({
    key: stored.key,
    bytes: stored.bytes,
    etag: stored.etag,
    crc32:
      stored.checksum?.type === 'FULL_OBJECT' && stored.checksum.algorithm === 'CRC32' ? stored.checksum.value : null,
    codec: settings.codec.name,
    cipher: cipherOf(settings.encryption),
    first,
    end: Math.min(first + CHAIN_RULES.packBlocks, recorded.indexes.length),
  });
}

async function orderFor(
  migration: Migration,
  name: AttemptName,
  { source, recorded, first }: PackOrder,
): Promise<ObjectOrder> {
  const { snapshot, settings } = migration;
  const { diskBytes } = source;
  const indexes = recorded.indexes.subarray(first, first + CHAIN_RULES.packBlocks);
  const expectedBytes = sequenceBytes(indexes, diskBytes);
  const number = first / CHAIN_RULES.packBlocks + 1;
  const key = packKey(name, number, settings.codec.name);
  const { tags } = objectTags(snapshot.tags, settings.tagKey);
  const facts = { key, metadata: objectMetadata(snapshot, expectedBytes, POINT_FORMAT), tags, lock: migration.lock };
  return {
    content: {
      kind: 'blocks',
      blocks: (from, signal) => {
        if (from !== 0) throw new SnapError('BUG', `${key} cannot be resumed within the pack`);
        const onBlock = recorded.add.bind(recorded);
        return blockSequence({ indexes, diskBytes, source: source.read(indexes, signal), onBlock });
      },
      expectedBytes,
      frameBytes: BLOCK_BYTES,
      onFrame: (plain, stored) => {
        recorded.places[first + plain / BLOCK_BYTES] = stored;
      },
      index: null,
    },
    facts,
    mustBeNew: true,
    codec: settings.codec,
    encryption: settings.encryption,
    streams: settings.uploadStreams,
    snapshotId: snapshot.id,
    partition: null,
    journal: await migration.journal.journalFor(facts, 'a pack is always stored from its beginning'),
    index: null,
  };
}

/** The form in which the journal records an object, so that `clean` can remove it after a kill. */
const objectOf = (
  { codec, encryption }: ObjectOrder,
  { key, bytes, etag, versionId, checksum }: StoredObject,
  plainBytes: number,
): ManifestObject => ({
  key,
  partition: null,
  layout: 'image',
  codec: codec.name,
  compressionLevel: codec.level,
  cipher: cipherOf(encryption),
  filesystem: null,
  uuid: null,
  label: null,
  plainBytes,
  plainSha256: null,
  storedBytes: bytes,
  etag,
  versionId,
  checksum,
  socketsSkipped: null,
  index: null,
});
