/** The index of an image, stored before the archive is complete. */

import { type BlockIndexWriter, indexKey } from '../archive/block-index.ts';
import { cipherOf, encryptCommand } from '../archive/cipher.ts';
import type { ManifestObject } from '../archive/manifest.ts';
import { objectMetadata } from '../archive/metadata.ts';
import { objectTags } from '../archive/tags.ts';
import { runTool } from '../transfer/process.ts';
import { archiveName, type Migration } from './migrate-snapshot.ts';

/** @returns the object with its index; with a cipher, the index is encrypted to the same recipients. */
export async function commitIndex(
  migration: Migration,
  object: ManifestObject,
  index: BlockIndexWriter,
): Promise<ManifestObject> {
  const { snapshot, settings, services, signal, claim } = migration;
  const key = indexKey(archiveName(migration), cipherOf(settings.encryption));
  const input = await index.finish();
  const body = settings.encryption
    ? (await runTool(encryptCommand(settings.encryption), { input, signal })).stdoutBytes
    : input;
  const { tags } = objectTags(snapshot.tags, settings.tagKey);
  const facts = { key, metadata: objectMetadata(snapshot, object.plainBytes), tags };
  const before = await services.store.head(key, { signal });
  claim.confirm();
  const { etag } = await services.store.putSmall(facts, body, before?.etag ?? null, { signal });
  services.host.notify({ code: 'index.stored', snapshot: snapshot.id, key });
  return { ...object, index: { key, etag, bytes: body.length } };
}
