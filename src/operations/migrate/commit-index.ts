/** Stores the index of an object, before the manifest is written. */
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { indexKey } from '../../archive/block-index.ts';
import { cipherOf, type Encryption, encryptCommand, lengthProblem } from '../../archive/cipher.ts';
import type { ManifestObject } from '../../archive/manifest.ts';
import { objectMetadata } from '../../archive/metadata.ts';
import { objectTags } from '../../archive/tags.ts';
import type { ObjectFacts, StoredObject } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { MiB } from '../../lib/units.ts';
import { readFileParts } from '../../transfer/file-parts.ts';
import { type Part, type PartReaderOptions, readParts } from '../../transfer/part-reader.ts';
import { startPipeline } from '../../transfer/pipeline.ts';
import { uploadParts } from '../../transfer/upload.ts';
import { archiveName, type Migration } from './migration.ts';
import { encryptBytes, encryptedParts } from './object/encrypt.ts';
import { uploadHolding } from './object/upload-holding.ts';

/** Indexes up to this size are written with one conditional request, which fails if another run wrote the index. */
const MAX_SMALL_BYTES = 32 * MiB;

export interface IndexedObject {
  partition: number | null;
  plainBytes: number;
  /** The index, or the path of the file that contains it. */
  index: Buffer | string;
}

/** Encrypts the index for the recipients of the archive, if it has any. @returns the facts for the manifest. */
export async function commitIndex(
  migration: Migration,
  { partition, plainBytes, index }: IndexedObject,
): Promise<NonNullable<ManifestObject['index']>> {
  const { snapshot, settings, services } = migration;
  const key = indexKey(archiveName(migration), partition, cipherOf(settings.encryption));
  const { tags } = objectTags(snapshot.tags, settings.tagKey);
  const facts = { key, metadata: objectMetadata(snapshot, plainBytes), tags, lock: migration.lock };
  const isLarge = typeof index === 'string' && statSync(index).size > MAX_SMALL_BYTES;
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

/** Uploads the index in parts, always to the Standard class, so that it can be read without a thaw. */
async function storeLarge(migration: Migration, facts: ObjectFacts, file: string): Promise<StoredObject> {
  const { settings, services, signal, claim } = migration;
  const streams = settings.uploadStreams;
  const { size: expectedBytes } = statSync(file);
  const reading = { expectedBytes, held: streams + 1, signal };
  await using stream = settings.encryption
    ? await openEncrypted(file, settings.encryption, reading)
    : openFile(file, reading);
  const { object } = await uploadParts(stream.parts, services.store.object(facts, { storageClass: 'STANDARD' }), {
    streams,
    signal,
    verdict: async (storedBytes) => {
      const problem = await stream.problem(storedBytes);
      if (problem !== null) throw new SnapError('COUNT_MISMATCH', `${facts.key}: ${problem}; nothing was stored`);
      claim.confirm();
    },
    onStored: () => {},
    onCreated: async (uploadId) => services.host.hold(uploadHolding(services.store.bucket, facts.key, uploadId)),
    resume: null,
    leave: () => false,
  });
  return object;
}

interface IndexStream extends AsyncDisposable {
  parts: AsyncIterable<Part>;
  /** Why the uploaded bytes are not the index; `null` if they are. @throws SnapError `STAGE_FAILED` */
  problem(storedBytes: number): Promise<string | null>;
}

const openFile = (file: string, reading: PartReaderOptions): IndexStream => ({
  parts: readFileParts(file, reading),
  problem: async (storedBytes) =>
    storedBytes === reading.expectedBytes ? null : `${storedBytes} of ${reading.expectedBytes} bytes were uploaded`,
  [Symbol.asyncDispose]: async () => {},
});

async function openEncrypted(file: string, encryption: Encryption, reading: PartReaderOptions): Promise<IndexStream> {
  const { expectedBytes, signal } = reading;
  const input = openSync(file, 'r');
  const stage = { name: 'gpg', argv: encryptCommand(encryption) };
  const pipeline = await startPipeline([stage], { signal, input }).finally(() => closeSync(input));
  const parts = readParts(pipeline.output, reading);
  return {
    parts: encryptedParts(parts),
    problem: async (storedBytes) => {
      await pipeline.finished;
      return lengthProblem(expectedBytes, storedBytes, encryption);
    },
    [Symbol.asyncDispose]: () => {
      parts[Symbol.dispose]();
      return pipeline[Symbol.asyncDispose]();
    },
  };
}
