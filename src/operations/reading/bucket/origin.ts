/** Determines the origin of archives without a manifest: version 0, which wrote none, or a migration that did not end. */
import { claimKey } from '../../../archive/claim.ts';
import { keyStem, objectKey, parseGenerationKey, parseKey, parseSmallKey } from '../../../archive/key.ts';
import { FORMAT_METADATA, readHeaderValue } from '../../../archive/metadata.ts';
import type { ArchiveStore } from '../../../cloud/ports.ts';
import { SnapError } from '../../../errors.ts';
import type { ArchiveOrigin } from '../../../events.ts';
import type { Services } from '../../shared/services.ts';
import { findClaim } from '../../sharing/claims.ts';
import type { Archive } from '../find-archive.ts';
import type { FoundArchive } from './scan-bucket.ts';

export interface Origin {
  is: ArchiveOrigin;
  /** The evidence, as a clause. */
  reason: string;
}

/** What a listing of the bucket shows about an archive without a manifest. */
interface Traces {
  /** Keys of its data objects. */
  keys: readonly string[];
  /** Whether indexes with the same key stem exist. */
  hasIndex: boolean;
  /** Whether a migration has claimed the snapshot, and has neither completed nor abandoned its archive. */
  hasClaim: boolean;
}

/** Decides by names alone, and makes no calls. */
function originByTraces({ keys, hasIndex, hasClaim }: Traces): Origin {
  if (keys.some((key) => parseGenerationKey(key) !== null))
    return { is: 'unfinished', reason: 'it has packs, which version 0 did not write' };
  const own = keys.filter(mayBeOurs);
  if (own.length === 0) return { is: 'version-0', reason: 'only version 0 wrote such names' };
  if (hasClaim) return { is: 'unfinished', reason: 'the claim of an unfinished migration exists' };
  if (hasIndex) return { is: 'unfinished', reason: 'it has indexes, which version 0 did not write' };
  // Version 0 wrote `.zstd`.
  if (own.some((key) => parseKey(key)?.codec === 'zstd')) {
    return { is: 'unfinished', reason: 'version 0 did not write such names' };
  }
  return { is: 'unknown', reason: 'it may be of version 0 or of an unfinished migration' };
}

/** Decides for an archive in a listing. @param hasClaim whether its snapshot is claimed. */
export function isUnfinished({ data, indexes, manifestKey, smallBytes }: FoundArchive, hasClaim: boolean): boolean {
  if (manifestKey !== null) return false;
  const keys = [...data, ...indexes].map(({ key }) => key);
  return originByTraces({ keys, hasIndex: smallBytes > 0, hasClaim }).is === 'unfinished';
}

/** Whether the current version could have written this key. Version 0 wrote such keys, too, besides others. */
function mayBeOurs(key: string): boolean {
  const parsed = parseKey(key);
  return parsed !== null && objectKey(parsed) === key;
}

/**
 * Looks for a claim and for indexes, then at the metadata of the objects. A claim that the caller may not read is ignored.
 * @throws SnapError the errors of the store.
 */
export async function originOf(
  { snapshotId, objects }: Pick<Archive, 'snapshotId' | 'objects'>,
  store: ArchiveStore,
  signal: AbortSignal,
): Promise<Origin> {
  const keys = objects.map(({ key }) => key);
  const byName = originByTraces({ keys, hasIndex: false, hasClaim: false });
  const first = parseKey(keys.find(mayBeOurs) ?? '');
  if (byName.is !== 'unknown' || !first) return byName;
  const beside = await store.list(keyStem(first), { signal });
  const hasIndex = beside.some((key) => parseSmallKey(key)?.what === 'index');
  const hasClaim = await isClaimed(first.prefix, snapshotId, store, signal);
  const byTraces = originByTraces({ keys, hasIndex, hasClaim });
  return byTraces.is === 'unknown' ? originByMetadata(keys, byTraces, store, signal) : byTraces;
}

/** The claim of a validation counts only if it keeps the progress of an earlier migration. */
async function isClaimed(
  prefix: string,
  snapshotId: string,
  store: ArchiveStore,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const claim = (await findClaim(claimKey(prefix, snapshotId), store, signal))?.claim;
    return claim?.command === 'migrate' || (claim?.progress ?? null) !== null;
  } catch (error) {
    if (error instanceof SnapError && error.code === 'ACCESS_DENIED') return false;
    throw error;
  }
}

async function originByMetadata(
  keys: readonly string[],
  otherwise: Origin,
  store: ArchiveStore,
  signal: AbortSignal,
): Promise<Origin> {
  for (const key of keys) {
    const metadata = (await store.head(key, { signal }))?.metadata ?? {};
    const description = readHeaderValue(metadata['snapshot-description'] ?? '').trim();
    if (metadata[FORMAT_METADATA] !== undefined) {
      return { is: 'unfinished', reason: 'version 0 did not write such object metadata' };
    }
    if (description !== '' && parseKey(key)?.description === null) {
      return { is: 'unfinished', reason: 'version 0 would have written the description of the snapshot into the key' };
    }
  }
  return otherwise;
}

/**
 * An archive without a manifest may be incomplete. It is read only if version 0 certainly wrote it, or if the user accepts
 * its origin.
 * @param isAccepted whether to read an archive of this origin.
 * @throws SnapError `UNFINISHED`
 */
export async function requireManifest(
  archive: Archive,
  isAccepted: (origin: ArchiveOrigin) => boolean,
  { store, host }: Pick<Services, 'store' | 'host'>,
  signal: AbortSignal,
): Promise<void> {
  if (archive.manifest || archive.point) return;
  const { is: origin, reason } = await originOf(archive, store, signal);
  const { snapshotId } = archive;
  if (origin !== 'version-0' && !isAccepted(origin)) throw unfinished(snapshotId, origin, reason);
  const partitions = archive.objects.map(({ partition }) => partition);
  host.notify({ code: 'archive.without-manifest', snapshot: snapshotId, origin, reason, partitions });
}

/** The error for an archive that is certainly, or possibly, unfinished. */
function unfinished(snapshotId: string, origin: ArchiveOrigin, reason: string): SnapError {
  const what = origin === 'unfinished' ? 'is unfinished' : 'may be unfinished';
  return new SnapError('UNFINISHED', `the archive of ${snapshotId} has no manifest and ${what}: ${reason}`, {
    hint: 'while the snapshot exists, run migrate for it again; --without-manifest reads the objects that exist',
  });
}
