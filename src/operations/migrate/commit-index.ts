/** The index of an object, stored before the archive is complete. */

import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { indexKey } from '../../archive/block-index.ts';
import { cipherOf, encryptCommand } from '../../archive/cipher.ts';
import type { ManifestObject } from '../../archive/manifest.ts';
import { objectMetadata } from '../../archive/metadata.ts';
import { objectTags } from '../../archive/tags.ts';
import type { ObjectFacts, StoredObject } from '../../cloud/ports.ts';
import { MiB } from '../../lib/units.ts';
import { readParts } from '../../transfer/part-reader.ts';
import { startPipeline } from '../../transfer/pipeline.ts';
import { uploadParts } from '../../transfer/upload.ts';
import { archiveName, type Migration } from './migration.ts';
import { encryptBytes, encryptedParts } from './object/encrypt.ts';
import { uploadHolding } from './object/upload-holding.ts';

/** Up to here an index is written at once, and only under the condition that nobody else has meanwhile. */
const CHUNK_BYTES = 32 * MiB;

export interface IndexedObject {
  partition: number | null;
  plainBytes: number;
  /** The index: itself, or the file that it is in. */
  index: Buffer | string;
}

/** With a cipher, the index is encrypted to the same recipients. @returns where it is. */
export async function commitIndex(
  migration: Migration,
  { partition, plainBytes, index }: IndexedObject,
): Promise<NonNullable<ManifestObject['index']>> {
  const { snapshot, settings, services } = migration;
  const key = indexKey(archiveName(migration), partition, cipherOf(settings.encryption));
  const { tags } = objectTags(snapshot.tags, settings.tagKey);
  const facts = { key, metadata: objectMetadata(snapshot, plainBytes), tags };
  const isLarge = typeof index === 'string' && statSync(index).size > CHUNK_BYTES;
  const { etag, bytes } = isLarge
    ? await storeLarge(migration, facts, index)
    : await storeSmall(migration, facts, typeof index === 'string' ? readFileSync(index) : index);
  services.host.notify({ code: 'index.stored', snapshot: snapshot.id, key });
  return { key, etag, bytes };
}

async function storeSmall(migration: Migration, facts: ObjectFacts, input: Buffer): Promise<StoredObject> {
  const { settings, services, signal, claim } = migration;
  const body = settings.encryption ? await encryptBytes(settings.encryption, input, signal) : input;
  const before = await services.store.head(facts.key, { signal });
  claim.confirm();
  return services.store.putSmall(facts, body, before?.etag ?? null, { signal });
}

/** In parts, like the object itself, but where it can be read without a restore. */
async function storeLarge(migration: Migration, facts: ObjectFacts, file: string): Promise<StoredObject> {
  const { settings, services, signal, claim } = migration;
  const { size: expectedBytes } = statSync(file);
  const stage = settings.encryption
    ? { name: 'gpg', argv: encryptCommand(settings.encryption) }
    : { name: 'cat', argv: ['cat'] };
  const input = openSync(file, 'r');
  try {
    await using pipeline = await startPipeline([stage], { signal, input });
    const streams = settings.uploadStreams;
    const parts = readParts(pipeline.output, { expectedBytes, held: streams + 1, signal });
    return await uploadParts(
      settings.encryption ? encryptedParts(parts) : parts,
      services.store.object(facts, 'STANDARD'),
      {
        streams,
        signal,
        verdict: async () => {
          await pipeline.finished;
          claim.confirm();
        },
        onStored: () => {},
        onCreated: async (uploadId) => services.host.hold(uploadHolding(services.store.bucket, facts.key, uploadId)),
        resume: null,
        onReused: () => {},
        leave: () => false,
      },
    );
  } finally {
    closeSync(input);
  }
}
