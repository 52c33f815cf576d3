/** The index of an image, stored before the archive is complete. */

import { indexKey } from '../archive/block-index.ts';
import { cipherOf, encryptCommand } from '../archive/cipher.ts';
import type { ManifestObject } from '../archive/manifest.ts';
import { objectMetadata } from '../archive/metadata.ts';
import { objectTags } from '../archive/tags.ts';
import { runTool } from '../transfer/process.ts';
import { archiveName, type Migration } from './migrate-snapshot.ts';

/** With a cipher, the index is encrypted to the same recipients. @returns where it is. */
export async function commitIndex(
  migration: Migration,
  plainBytes: number,
  input: Buffer,
): Promise<NonNullable<ManifestObject['index']>> {
  const { snapshot, settings, services, signal, claim } = migration;
  const key = indexKey(archiveName(migration), cipherOf(settings.encryption));
  const body = settings.encryption
    ? (await runTool(encryptCommand(settings.encryption), { input, signal })).stdoutBytes
    : input;
  const { tags } = objectTags(snapshot.tags, settings.tagKey);
  const facts = { key, metadata: objectMetadata(snapshot, plainBytes), tags };
  const before = await services.store.head(key, { signal });
  claim.confirm();
  const { etag } = await services.store.putSmall(facts, body, before?.etag ?? null, { signal });
  services.host.notify({ code: 'index.stored', snapshot: snapshot.id, key });
  return { key, etag, bytes: body.length };
}
