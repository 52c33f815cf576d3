/** Uploads that nobody will complete, and objects of archives that never became whole. */
import { indexKey } from '../../archive/block-index.ts';
import type { Claim, Progress } from '../../archive/claim.ts';
import { manifestKey, parseAnyKey, parseKey } from '../../archive/key.ts';
import type { ObjectHead, UnfinishedUpload } from '../../cloud/ports.ts';
import { pricesIn } from '../../costs/prices.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import { GiB } from '../../lib/units.ts';
import { readManifest } from '../reading/find-archive.ts';
import { ageIn } from '../shared/store-clock.ts';
import type { Leftover, Survey, Trace } from './leftover.ts';

export async function leftInBucket(trace: Trace, survey: Survey): Promise<Leftover[]> {
  return [...(await leftUploads(trace, survey)), ...(await leftObjects(trace, survey))];
}

async function leftUploads({ uploads, snapshotId, found }: Trace, survey: Survey): Promise<Leftover[]> {
  const own = uploads.filter(({ key }) => parseKey(key)?.snapshotId === snapshotId);
  const claim = found?.claim ?? null;
  return Promise.all(own.map((upload) => leftUpload(upload, claim, survey)));
}

async function leftUpload(upload: UnfinishedUpload, claim: Claim | null, survey: Survey): Promise<Leftover> {
  const parts = survey.services.store.object({ key: upload.key, metadata: {}, tags: {} });
  const { length, bytes } = sumOf(await parts.parts(upload.uploadId, { signal: survey.signal }));
  return {
    kind: 'upload',
    id: upload.key,
    what: `unfinished upload ${upload.uploadId} of ${length} parts`,
    ageSeconds: ageIn(survey.clock, upload.initiatedAt),
    // Parts are kept in Standard until the upload is completed.
    dollarsMonth: monthly('STANDARD', bytes, survey),
    obstacle: isOurs(upload, claim) ? null : 'no claim says that it is of this program',
    remove: () => parts.abort(upload.uploadId, { signal: cleanupSignal() }),
  };
}

const sumOf = (parts: readonly { bytes: number }[]) => ({
  length: parts.length,
  bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
});

function isOurs({ uploadId, initiatedAt }: UnfinishedUpload, claim: Claim | null): boolean {
  if (!claim) return false;
  const isNoted = claim.progress?.uploads.some((noted) => noted.uploadId === uploadId) ?? false;
  return isNoted || initiatedAt >= new Date(claim.takenAt);
}

/** Without a manifest that names them they are no archive, and nobody would miss them. */
async function leftObjects({ found, snapshotId }: Trace, survey: Survey): Promise<Leftover[]> {
  const progress = found?.claim?.progress;
  if (!progress) return [];
  const { store } = survey.services;
  const wanted = noted(progress);
  const named = namedInManifests(snapshotId, survey);
  const left: Leftover[] = [];
  for (const [key, etag] of wanted) {
    const head = await store.head(key, { signal: survey.signal });
    const isSame =
      head && (etag === null ? head.modifiedAt >= new Date(found.claim?.takenAt ?? 0) : head.etag === etag);
    if (isSame && !(await named(key))) left.push(leftObject(head, survey));
  }
  return left;
}

/** What was stored, with its ETag; `null` for what was completed, perhaps, and killed before that could be noted. */
function noted({ objects, uploads }: Progress): Map<string, string | null> {
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

/** @returns `null` for what is no object of the snapshot, whatever a claim may say. */
function manifestBeside(key: string, snapshotId: string): string | null {
  const parsed = parseAnyKey(key);
  return parsed?.snapshotId === snapshotId ? manifestKey(parsed) : null;
}

/** Whether a manifest names a key; each manifest is read once. What is no object of the snapshot counts as named. */
function namedInManifests(snapshotId: string, { services, signal }: Survey): (key: string) => Promise<boolean> {
  const manifests = new Map<string, ReturnType<typeof readManifest>>();
  return async (key) => {
    const beside = manifestBeside(key, snapshotId);
    if (beside === null) return true;
    const reading = manifests.get(beside) ?? readManifest(beside, snapshotId, services.store, signal);
    manifests.set(beside, reading);
    const objects = (await reading)?.content.objects ?? [];
    return objects.some((object) => object.key === key || object.index?.key === key);
  };
}

const leftObject = (head: ObjectHead, survey: Survey): Leftover => ({
  kind: 'object',
  id: head.key,
  what: 'of an archive that was never completed',
  ageSeconds: ageIn(survey.clock, head.modifiedAt),
  dollarsMonth: monthly(head.storageClass, head.bytes, survey),
  obstacle: null,
  remove: () => survey.services.store.removeIf(head.key, head.etag, { signal: cleanupSignal() }),
});

const monthly = (storageClass: string, bytes: number, { services }: Survey): number =>
  ((pricesIn(services.region).s3[storageClass]?.gbMonth ?? 0) * bytes) / GiB;
