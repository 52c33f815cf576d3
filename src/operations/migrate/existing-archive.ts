/** Decides whether an existing archive is kept. Replacing it costs an upload and, in some classes, an early-deletion fee. */
import { cipherOf } from '../../archive/cipher.ts';
import { manifestKey } from '../../archive/key.ts';
import { describeLock, lockInNote } from '../../archive/lock-note.ts';
import type { Manifest, ManifestObject } from '../../archive/manifest.ts';
import { chainLock, type PointManifest } from '../../archive/points/point-manifest.ts';
import { validationOf } from '../../archive/points/point-validation.ts';
import type { ObjectLock } from '../../cloud/object-lock.ts';
import type { ObjectHead, Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { ExistingArchive } from '../../events.ts';
import { inParallel } from '../../lib/parallel.ts';
import { type AnyManifest, readManifest } from '../reading/find-archive.ts';
import type { FoundPoint } from '../reading/point/found-point.ts';
import type { Services } from '../shared/services.ts';
import type { LockSettings, MigrateSettings } from '../shared/settings/migrate.ts';
import { isSameIndex } from '../verify/check-index.ts';
import { changeOfRecipients } from './change-of-recipients.ts';
import { missingIn } from './points/missing-objects.ts';

/**
 * Keeps an archive if every data object is the one in the manifest, and has the same layout, compression and recipients. Does
 * not compare storage classes, which lifecycle rules change, nor encryption by S3, locks and tags, which can be changed
 * without an upload. A missing or replaced index is no reason to upload the data again, but it is reported.
 * @returns `null` if there is no manifest: there is no archive, or it is unfinished or of version 0.
 * @throws SnapError `ARCHIVE_EXISTS` for a point that cannot be kept, because other points may need its packs;
 *   `MANIFEST` if the manifest cannot be read, and `DIFFERS` if an index was replaced, unless
 *   `settings.replace` is set.
 */
export async function findExisting(
  snapshot: Snapshot,
  settings: MigrateSettings,
  services: Services,
  signal: AbortSignal,
): Promise<ExistingArchive | null> {
  const existing = await manifestOf(snapshot, settings, services, signal);
  if (existing !== 'unreadable') assertNotExpiring(existing, snapshot.id);
  if (existing === 'unreadable') return { action: 'replace', reason: `its manifest cannot be read, and ${ASKED}` };
  if (existing.point) return keepPoint(existing.point, settings, services, signal);
  if (existing.manifest === null) return null;
  const manifest = existing.manifest.content;
  const { finishedAt, differedAt } = manifest;
  if (settings.incremental) return keepWhole(manifest, (await problemsOf(manifest, services, signal)).data, settings);
  if (settings.replace) return { action: 'replace', reason: `it was stored ${finishedAt}, and ${ASKED}` };
  if (differedAt !== undefined) return { action: 'replace', reason: `it differed from the snapshot on ${differedAt}` };
  const { data, replaced, missing } = await problemsOf(manifest, services, signal);
  const change = data ?? changeOf(manifest, settings) ?? (await changeOfRecipients(manifest.sealed, settings, signal));
  if (change !== null) return { action: 'replace', reason: change };
  if (replaced !== null) throw replacedIndex(snapshot.id, replaced);
  return keep(manifest, missing, settings);
}

/**
 * An archive that is going to be removed must not be reported as complete, and what remains of an expired one belongs to
 * other points.
 */
function assertNotExpiring({ manifest, point }: AnyManifest, id: string): void {
  const expiry = (manifest ?? point)?.content.expiry;
  if (!expiry) return;
  const [what, hint] =
    expiry.state === 'expired'
      ? ['has expired', 'archive the snapshot under another --prefix']
      : [
          'is going to be removed by expire',
          'change the rules of expire so that they keep it, or use another --prefix',
        ];
  throw new SnapError('ARCHIVE_EXISTS', `the archive of ${id} ${what}: it was marked ${expiry.markedAt}`, { hint });
}

/** @throws SnapError `ARCHIVE_EXISTS`; `DIFFERS` if an object that the point needs is missing or was replaced. */
async function keepPoint(
  point: FoundPoint,
  { incremental, replace, validate, lock, uploadStreams: streams }: MigrateSettings,
  services: Services,
  signal: AbortSignal,
): Promise<ExistingArchive> {
  const { snapshot, finishedAt, differedAt, point: facts } = point.content;
  if (!incremental || replace || differedAt !== undefined) throw pointExists(point.content);
  const archived = `already archived incrementally (${finishedAt})`;
  const missing = await missingIn(point, { ...services, signal, streams, sessionKey: null });
  const isUnproved = validate && validationOf(point.content)?.packs !== 'read';
  if ((missing === null || missing === 'unknown') && isUnproved)
    return {
      action: 'validate',
      reason: `${archived}${lockNote(chainLock(facts.chain), lock)}; its packs were not validated yet`,
    };
  if (missing === 'unknown') {
    const why = 'its block lists cannot be decrypted on this machine';
    return { action: 'keep', reason: `${archived}; the presence of its packs was not checked, because ${why}` };
  }
  if (missing === null) return { action: 'keep', reason: `${archived}${lockNote(chainLock(facts.chain), lock)}` };
  throw new SnapError('DIFFERS', `${snapshot.id} is ${archived}, but ${missing}`, {
    hint: 'restore an earlier version of that object in the bucket, or archive the snapshot under another --prefix; do not delete the snapshot',
  });
}

function pointExists({ snapshot, differedAt }: PointManifest): SnapError {
  const why = differedAt === undefined ? '' : `, and it differed from the snapshot on ${differedAt}`;
  return new SnapError('ARCHIVE_EXISTS', `${snapshot.id} is already archived incrementally${why}`, {
    hint: 'incremental archives are never replaced, because others may depend on them: use another --prefix',
  });
}

/** `--incremental` never replaces an archive. @throws SnapError `ARCHIVE_EXISTS` if it cannot be kept. */
function keepWhole(
  { snapshot, finishedAt, differedAt, validatedAt, lock }: Manifest,
  problem: string | null,
  { validate, lock: wanted }: MigrateSettings,
): ExistingArchive {
  const trouble = differedAt === undefined ? problem : `it differed from the snapshot on ${differedAt}`;
  const archived = `already archived as a whole (${finishedAt})${lockNote(lockInNote(lock), wanted)}`;
  if (trouble === null && validate && validatedAt === null)
    return { action: 'validate', reason: `${archived}; not validated yet` };
  if (trouble === null) return { action: 'keep', reason: archived };
  throw new SnapError('ARCHIVE_EXISTS', `${snapshot.id} is already archived as a whole, but ${trouble}`, {
    hint: 'archive it again without --incremental, or under another --prefix',
  });
}

/** @param missing the key of an index that is not in the bucket. */
function keep(
  { finishedAt, validatedAt, lock }: Manifest,
  missing: string | null,
  { validate, lock: wanted }: MigrateSettings,
): ExistingArchive {
  const archived = `already archived (${finishedAt})`;
  if (missing !== null) {
    const reason = `${archived} with the same settings, but WITHOUT ITS INDEX: ${missing} is not in the bucket, so restore needs --no-index and reads whole objects, and list cannot show files; --replace stores the archive again`;
    return { action: validate ? 'validate' : 'keep', reason };
  }
  const complete = `${archived}, complete and with the same settings${lockNote(lockInNote(lock), wanted)}; --replace stores it again`;
  if (!validate || validatedAt !== null) return { action: 'keep', reason: complete };
  return { action: 'validate', reason: `${complete}; not validated yet` };
}

/** What the manifest records about the lock, if one is asked for. A lock is set only when objects are stored. */
function lockNote(recorded: ObjectLock | null, wanted: LockSettings | null): string {
  if (wanted === null) return '';
  return recorded
    ? `, stored with the lock ${describeLock(recorded)}`
    : ', but stored WITHOUT A LOCK, which this run does not add';
}

const replacedIndex = (id: string, key: string): SnapError =>
  new SnapError('DIFFERS', `${id} is already archived, but ${key} is not the index in the manifest: it was replaced`, {
    hint: 'look for an earlier version of the index; the data objects match the manifest, and restore --no-index reads them; to archive the snapshot again, use --replace',
  });

const ASKED = '--replace was given';

async function manifestOf(
  { id, volumeId, startTime }: Snapshot,
  { prefix, replace }: MigrateSettings,
  { store }: Services,
  signal: AbortSignal,
): Promise<AnyManifest | 'unreadable'> {
  const key = manifestKey({ prefix, volumeId, startTime, snapshotId: id });
  try {
    return await readManifest(key, id, store, signal);
  } catch (cause) {
    if (!(cause instanceof SnapError) || cause.code !== 'MANIFEST') throw cause;
    if (replace) return 'unreadable';
    throw new SnapError('MANIFEST', `${id} is already archived, but ${cause.message}`, {
      hint: 'use the version of the program that wrote it, or archive the snapshot again with --replace',
      cause,
    });
  }
}

/** Maximum number of objects that are checked at the same time. */
const CONCURRENCY = 8;

/** What the bucket does not have as the manifest records it: the first of each kind. */
interface Problems {
  /** A clause about a data object. */
  data: string | null;
  /** The key of an index that another object has replaced. */
  replaced: string | null;
  /** The key of an index that is not in the bucket. */
  missing: string | null;
}

async function problemsOf({ objects }: Manifest, { store }: Services, signal: AbortSignal): Promise<Problems> {
  const problems: Problems = { data: null, replaced: null, missing: null };
  await inParallel(objects, CONCURRENCY, signal, async (object, working) => {
    const head = await store.head(object.key, { signal: working });
    if (head === null) problems.data ??= `${object.key} is not in the bucket`;
    else if (!isSameObject(object, head)) problems.data ??= `${object.key} is not the object in the manifest`;
    if (!object.index) return;
    const index = await store.head(object.index.key, { signal: working });
    if (index === null) problems.missing ??= object.index.key;
    else if (!isSameIndex(object, head, index)) problems.replaced ??= index.key;
  });
  return problems;
}

/** A copy with another number of parts has another ETag but the same checksum. */
const isSameObject = ({ storedBytes, etag, checksum }: ManifestObject, { bytes, crc32, ...head }: ObjectHead) =>
  bytes === storedBytes && (head.etag === etag || (crc32 !== null && crc32 === checksum?.value));

/** @returns which setting differs; `null` if none does. */
function changeOf(manifest: Manifest, { codec, encryption, ...settings }: MigrateSettings): string | null {
  const { layout, objects, replayedJournals } = manifest;
  if (layout !== settings.layout) return `it is stored as ${layout}, not as ${settings.layout}`;
  // An archive with replayed journals is kept with `--no-replay`, too, because it contains more.
  if (settings.replayJournals && replayedJournals === false) return 'its journals were not replayed';
  const cipher = cipherOf(encryption);
  for (const object of objects) {
    const { compressionLevel: level = codec.level } = object;
    if (object.codec !== codec.name || level !== codec.level) {
      return `it is compressed with ${object.codec} at level ${level}, not with ${codec.name} at level ${codec.level}`;
    }
    if (object.cipher !== cipher) return `its encryption is ${object.cipher}, not ${cipher}`;
  }
  return null;
}
