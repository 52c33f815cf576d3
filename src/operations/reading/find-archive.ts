/** Finds the archive of a snapshot in the bucket. */
import { recipientsOf } from '../../archive/cipher.ts';
import type { CodecName } from '../../archive/codec.ts';
import { decodeAnyManifest } from '../../archive/decode-manifest.ts';
import {
  type ArchiveName,
  type Cipher,
  endsInDescription,
  isAmbiguous,
  type Layout,
  manifestKey,
  type ParsedKey,
  parseAnyKey,
  parseGenerationKey,
  parseKey,
} from '../../archive/key.ts';
import { MANIFEST_FORMAT, type Manifest, type ManifestObject } from '../../archive/manifest.ts';
import { readHeaderValue } from '../../archive/metadata.ts';
import type { ArchiveStore } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { FoundPoint } from './point/found-point.ts';

/** A data object of an archive, described by the manifest or, without one, by its key. */
export interface ArchivedObject {
  key: string;
  partition: number | null;
  layout: Layout;
  codec: CodecName;
  cipher: Cipher;
  facts: ManifestObject | null;
  /** Ids of the keys that the sealed part of the manifest is encrypted for; absent where that is not known. */
  recipients?: readonly string[];
}

export interface Archive {
  snapshotId: string;
  /** `null` for archives of version 0, and for points. */
  manifest: { key: string; etag: string; content: Manifest } | null;
  /** The point, if the archive is incremental; then it has no objects. */
  point: FoundPoint | null;
  objects: ArchivedObject[];
}

/** A manifest of either kind; both fields are `null` if there is none. */
export type AnyManifest = Pick<Archive, 'manifest' | 'point'>;

export const NO_MANIFEST: AnyManifest = { manifest: null, point: null };

/** @throws SnapError `NOT_FOUND` if there is no archive, `UNFINISHED`, `MANIFEST` if its manifest cannot be used. */
export async function findArchive(name: ArchiveName, store: ArchiveStore, signal: AbortSignal): Promise<Archive> {
  const found = await readManifest(manifestKey(name), name.snapshotId, store, signal);
  assertNotExpired(found, name.snapshotId);
  const { manifest, point } = found;
  if (manifest) return withManifest(name.snapshotId, manifest);
  if (point) return ofPoint(point);
  const keys = await keysOf(name.prefix, `${name.volumeId}/`, store, signal);
  return withoutManifest(name.snapshotId, keys, store, signal);
}

/** @param keys the keys of the objects, which are used only without a manifest. @throws SnapError `NOT_FOUND`, `UNFINISHED` */
export const archiveOf = async (
  snapshotId: string,
  found: AnyManifest,
  keys: readonly string[],
  store: HeadStore,
  signal: AbortSignal,
): Promise<Archive> => {
  assertNotExpired(found, snapshotId);
  const { manifest, point } = found;
  if (point) return ofPoint(point);
  return manifest ? withManifest(snapshotId, manifest) : withoutManifest(snapshotId, keys, store, signal);
};

/** @throws SnapError `NOT_FOUND` if `expire` has removed the archive, although packs of it may remain. */
export function assertNotExpired({ manifest, point }: AnyManifest, snapshotId: string): void {
  const expiry = (manifest ?? point)?.content.expiry;
  if (expiry?.state !== 'expired') return;
  throw new SnapError('NOT_FOUND', `the archive of ${snapshotId} has expired: it was marked ${expiry.markedAt}`, {
    hint: 'what remains of it belongs to other incremental archives; restore one of those, or look for earlier versions of its objects',
  });
}

const ofPoint = (point: FoundPoint): Archive => ({
  snapshotId: point.content.snapshot.id,
  manifest: null,
  point,
  objects: [],
});

type HeadStore = Pick<ArchiveStore, 'head' | 'bucket'>;

/** Excludes keys with a longer prefix: they belong to other archives, perhaps of the same snapshots. */
export async function keysOf(
  prefix: string,
  below: string,
  store: ArchiveStore,
  signal: AbortSignal,
): Promise<string[]> {
  const keys = await store.list(`${prefix}${below}`, { signal });
  return keys.filter((key) => parseAnyKey(key)?.prefix === prefix);
}

/** Whether an error concerns one manifest alone: its content, or a storage class that must be thawed first. */
export const isUnusableManifest = (error: unknown): error is SnapError =>
  error instanceof SnapError && (error.code === 'MANIFEST' || error.code === 'OBJECT_ARCHIVED');

/** @throws SnapError `MANIFEST` if the manifest cannot be used. */
export async function readManifest(
  key: string,
  snapshotId: string,
  store: Pick<ArchiveStore, 'getSmall'>,
  signal: AbortSignal,
): Promise<AnyManifest> {
  try {
    const { etag, body } = await store.getSmall(key, { signal });
    const content = decodeAnyManifest(body, key, snapshotId);
    return content.format === MANIFEST_FORMAT
      ? { manifest: { key, etag, content }, point: null }
      : { manifest: null, point: { key, etag, content } };
  } catch (error) {
    if (error instanceof SnapError && error.code === 'NOT_FOUND') return NO_MANIFEST;
    throw error;
  }
}

export function withManifest(snapshotId: string, manifest: NonNullable<Archive['manifest']>): Archive {
  const { sealed, objects } = manifest.content;
  const known = typeof sealed === 'string' ? { recipients: recipientsOf(Buffer.from(sealed, 'base64')) } : {};
  return {
    snapshotId,
    manifest,
    point: null,
    objects: objects.map((facts) => ({
      key: facts.key,
      partition: facts.partition,
      layout: facts.layout,
      codec: facts.codec,
      cipher: facts.cipher,
      facts,
      ...known,
    })),
  };
}

async function withoutManifest(
  snapshotId: string,
  keys: readonly string[],
  store: HeadStore,
  signal: AbortSignal,
): Promise<Archive> {
  const objects: ArchivedObject[] = [];
  for (const key of keys) {
    const parsed = parseKey(key);
    if (parsed?.snapshotId !== snapshotId) continue;
    const { layout, codec, cipher } = parsed;
    const partition = await partitionOf(key, parsed, store, signal);
    objects.push({ key, partition, layout, codec, cipher, facts: null });
  }
  if (objects.length > 0) return { snapshotId, ...NO_MANIFEST, objects };
  if (keys.some((key) => parseGenerationKey(key)?.snapshotId === snapshotId)) throw unfinishedPoint(snapshotId);
  throw new SnapError('NOT_FOUND', `there is no archive of ${snapshotId} in ${store.bucket}`, {
    hint: 'check --bucket and --prefix, or migrate the snapshot first',
  });
}

const unfinishedPoint = (snapshotId: string): SnapError =>
  new SnapError('UNFINISHED', `the incremental archive of ${snapshotId} has no manifest and is unfinished`, {
    hint: 'while the snapshot exists, run migrate --incremental for it again',
  });

/**
 * Without a manifest, nothing shows which of several objects with the same content is the valid one.
 * @throws SnapError `AMBIGUOUS`
 */
export function assertNoDuplicates({ snapshotId, objects }: Archive): void {
  const byContent = Map.groupBy(objects, ({ layout, partition }) => `${layout} ${partition}`);
  const duplicates = [...byContent.values()].find(({ length }) => length > 1);
  if (!duplicates) return;
  const keys = duplicates.map(({ key }) => key).join(' and ');
  throw new SnapError(
    'AMBIGUOUS',
    `${snapshotId} has several archives, and no manifest identifies the valid one: ${keys}`,
    {
      hint: 'copy the archive that you want to another prefix, and specify it with --prefix',
    },
  );
}

/** A key of version 0 may end in a description that looks like a partition. The metadata has the whole description. */
async function partitionOf(
  key: string,
  parsed: ParsedKey,
  store: HeadStore,
  signal: AbortSignal,
): Promise<number | null> {
  if (!isAmbiguous(parsed)) return parsed.partition;
  const description = (await store.head(key, { signal }))?.metadata['snapshot-description'];
  const isWhole = description !== undefined && endsInDescription(key, parsed, readHeaderValue(description));
  return isWhole ? null : parsed.partition;
}
