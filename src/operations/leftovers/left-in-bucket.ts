/** Leftovers in the bucket: unfinished uploads, and objects of incomplete archives. */
import { indexKey } from '../../archive/block-index.ts';
import type { Claim, ClaimProgress } from '../../archive/claim.ts';
import { manifestKey, parseAnyKey, parseGenerationKey, parseKey } from '../../archive/key.ts';
import type { ListedObject, UnfinishedUpload } from '../../cloud/ports.ts';
import { storageMonth } from '../../costs/prices.ts';
import { count } from '../../lib/units.ts';
import { isUnusableManifest, readManifest } from '../reading/find-archive.ts';
import { ageIn } from '../shared/store-clock.ts';
import type { Leftover, Survey, Trace } from './leftover.ts';

export async function leftInBucket(trace: Trace, survey: Survey): Promise<Leftover[]> {
  return [...(await leftUploads(trace, survey)), ...(await leftObjects(trace, survey))];
}

async function leftUploads({ uploads, snapshotId, found }: Trace, survey: Survey): Promise<Leftover[]> {
  const own = uploads.filter(({ key }) => parseAnyKey(key)?.snapshotId === snapshotId);
  const claim = found?.claim ?? null;
  return Promise.all(own.map((upload) => leftUpload(upload, claim, survey)));
}

async function leftUpload(upload: UnfinishedUpload, claim: Claim | null, survey: Survey): Promise<Leftover> {
  const parts = survey.services.store.object({ key: upload.key, metadata: {}, tags: {} });
  const { length, bytes } = sumOf(await parts.parts(upload.uploadId, { signal: survey.signal }));
  return {
    kind: 'upload',
    id: upload.key,
    what: `unfinished upload ${upload.uploadId} with ${count(length, 'part')}`,
    ageSeconds: ageIn(survey.clock, upload.initiatedAt),
    // S3 bills parts as Standard until the upload is completed.
    dollarsMonth: monthly('STANDARD', bytes, survey),
    obstacle: isOurs(upload, claim) ? null : 'no claim shows that this program started it',
    subject: { kind: 'upload', upload },
  };
}

const sumOf = (parts: readonly { bytes: number }[]) => ({
  length: parts.length,
  bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
});

/** Whether the claim records the upload, or existed when the upload was started. */
function isOurs({ uploadId, initiatedAt }: UnfinishedUpload, claim: Claim | null): boolean {
  if (!claim) return false;
  const isRecorded = claim.progress?.uploads.some((recorded) => recorded.uploadId === uploadId) ?? false;
  return isRecorded || initiatedAt >= new Date(claim.takenAt);
}

/** Objects that the claim records and no manifest names: they do not belong to an archive. */
async function leftObjects(trace: Trace, survey: Survey): Promise<Leftover[]> {
  return [...(await leftOfArchive(trace, survey)), ...(await leftOfPoint(trace, survey))];
}

/**
 * Objects of a point that was not completed. The claim records only the first of them: they are all objects with such keys
 * that were written since it was taken.
 */
async function leftOfPoint({ found, snapshotId }: Trace, survey: Survey): Promise<Leftover[]> {
  const claim = found?.claim;
  if (!claim) return [];
  const { store } = survey.services;
  const named = namedInManifests(snapshotId, survey);
  const left: Leftover[] = [];
  const takenAt = new Date(claim.takenAt);
  for await (const object of store.objects(`${survey.settings.prefix}${claim.volume}/`, { signal: survey.signal })) {
    if (parseGenerationKey(object.key)?.snapshotId !== snapshotId || object.modifiedAt < takenAt) continue;
    const use = await named(object.key);
    if (use !== 'named') left.push(leftObject(object, use, survey));
  }
  return left;
}

async function leftOfArchive({ found, snapshotId }: Trace, survey: Survey): Promise<Leftover[]> {
  const progress = found?.claim?.progress;
  if (!progress) return [];
  const { store } = survey.services;
  const wanted = recordedObjects(progress);
  const named = namedInManifests(snapshotId, survey);
  const left: Leftover[] = [];
  for (const [key, etag] of wanted) {
    if (parseGenerationKey(key)) continue;
    const head = await store.head(key, { signal: survey.signal });
    const isSame =
      head && (etag === null ? head.modifiedAt >= new Date(found.claim?.takenAt ?? 0) : head.etag === etag);
    if (!isSame) continue;
    const use = await named(key);
    if (use !== 'named') left.push(leftObject(head, use, survey));
  }
  return left;
}

/**
 * The objects that a run stored, with their ETags. The ETag is `null` for objects that the run may have stored before it
 * was killed, without recording them.
 */
function recordedObjects({ objects, uploads }: ClaimProgress): Map<string, string | null> {
  const wanted = new Map<string, string | null>();
  for (const { key, etag, index } of objects) {
    wanted.set(key, etag);
    if (index) wanted.set(index.key, index.etag);
  }
  const keys = [...objects, ...uploads].map(({ key }) => key);
  for (const key of [...keys, ...keys.flatMap(indexOf)]) {
    if (!wanted.has(key)) wanted.set(key, null);
  }
  return wanted;
}

/** The key of the index that is stored right after an object. */
function indexOf(key: string): string[] {
  const parsed = parseKey(key);
  return parsed ? [indexKey(parsed, parsed.partition, parsed.cipher)] : [];
}

/** @returns the key of the manifest of an object; `null` if the key does not belong to the snapshot. */
function manifestBeside(key: string, snapshotId: string): string | null {
  const parsed = parseAnyKey(key);
  return parsed?.snapshotId === snapshotId ? manifestKey(parsed) : null;
}

/** Has the reason if the manifest cannot be read. */
type Use = 'named' | 'not-named' | { unknown: string };

/**
 * A function that tests whether a manifest names a key. Each manifest is read once. Keys that do not belong to the snapshot
 * count as named, so that they are never removed.
 */
function namedInManifests(snapshotId: string, { services, signal }: Survey): (key: string) => Promise<Use> {
  const manifests = new Map<string, ReturnType<typeof readManifest>>();
  return async (key) => {
    const beside = manifestBeside(key, snapshotId);
    if (beside === null) return 'named';
    const reading = manifests.get(beside) ?? readManifest(beside, snapshotId, services.store, signal);
    manifests.set(beside, reading);
    try {
      const { manifest, point } = await reading;
      // The manifest of a point does not list its packs.
      if (point) return 'named';
      const objects = manifest?.content.objects ?? [];
      return objects.some((object) => object.key === key || object.index?.key === key) ? 'named' : 'not-named';
    } catch (error) {
      if (isUnusableManifest(error)) return { unknown: error.message };
      throw error;
    }
  };
}

const leftObject = (object: ListedObject, use: Exclude<Use, 'named'>, survey: Survey): Leftover => ({
  kind: 'object',
  id: object.key,
  what: 'object of an incomplete archive',
  ageSeconds: ageIn(survey.clock, object.modifiedAt),
  dollarsMonth: monthly(object.storageClass, object.bytes, survey),
  obstacle: use === 'not-named' ? null : `its archive may be complete: ${use.unknown}`,
  subject: { kind: 'object', object },
});

const monthly = (storageClass: string, bytes: number, { bucketPrices }: Survey): number =>
  storageMonth({ bytes, storageClass }, bucketPrices) ?? 0;
