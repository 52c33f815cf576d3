/** Applies the lifecycle rules of all buckets at one time. S3 does it once a day. */
import { isLocked } from '../locks/rules.ts';
import type { Bucket, StoredVersion } from '../store/model.ts';
import type { S3Store } from '../store/store.ts';
import { concerns, isOver, type Rule, rulesOf } from './rules.ts';

/** What a rule has done. */
export interface LifecycleAction {
  kind: 'upload-aborted' | 'object-deleted' | 'marker-added' | 'version-deleted' | 'marker-deleted';
  bucket: string;
  key: string;
}

interface Pass {
  store: S3Store;
  bucket: Bucket;
  rules: readonly Rule[];
  now: Date;
}

export const applyLifecycle = (store: S3Store, now: Date): LifecycleAction[] =>
  store.buckets.flatMap((bucket) => {
    if (bucket.lifecycle === undefined) return [];
    const pass = { store, bucket, rules: rulesOf(bucket.lifecycle).filter(({ isEnabled }) => isEnabled), now };
    const keys = new Set(store.objects.versions(bucket.name).map(({ key }) => key));
    return [...abortUploads(pass), ...[...keys].flatMap((key) => [...expire(pass, key)])];
  });

/** Rules for uploads have no other limit than a prefix. */
function abortUploads({ store, bucket, rules, now }: Pass): LifecycleAction[] {
  const ended = store.uploads.filter(
    ({ bucket: name, key, initiated }) =>
      name === bucket.name &&
      rules.some(({ prefix, abortAfter }) => {
        return abortAfter !== null && key.startsWith(prefix) && isOver(initiated, abortAfter, now);
      }),
  );
  for (const upload of ended) store.dropUpload(upload, []);
  return ended.map(({ key }) => ({ kind: 'upload-aborted', bucket: bucket.name, key }));
}

function* expire(pass: Pass, key: string): Generator<LifecycleAction> {
  const { store, bucket, now } = pass;
  const [current, ...older] = store.objects.versionsOf(bucket.name, key);
  for (const [position, version] of older.entries()) {
    const since = [current, ...older][position]?.modified ?? now.toISOString();
    if (isLocked(version, now) || !isOldVersion(pass, version, { position, since })) continue;
    store.objects.drop(bucket.name, version);
    yield { kind: version.isDeleteMarker ? 'marker-deleted' : 'version-deleted', bucket: bucket.name, key };
  }
  if (!current || !isExpired(pass, current)) return;
  if (!current.isDeleteMarker) {
    const marker = store.objects.delete(bucket, key, now.toISOString());
    yield { kind: marker ? 'marker-added' : 'object-deleted', bucket: bucket.name, key };
  } else if (store.objects.versionsOf(bucket.name, key).length === 1) {
    store.objects.drop(bucket.name, current);
    yield { kind: 'marker-deleted', bucket: bucket.name, key };
  }
}

/** Delete markers have no tags and no size, so only the prefix counts for them. */
const limitsOf = (version: StoredVersion) =>
  version.isDeleteMarker ? { key: version.key, tags: {}, bytes: 0 } : version;

/** @param place the number of newer noncurrent versions, and the time at which the version became noncurrent. */
function isOldVersion(
  { rules, now }: Pass,
  version: StoredVersion,
  place: { position: number; since: string },
): boolean {
  return rules.some(
    (rule) =>
      rule.expireVersionsAfter !== null &&
      place.position >= rule.keptVersions &&
      concerns(rule, limitsOf(version)) &&
      isOver(place.since, rule.expireVersionsAfter, now),
  );
}

function isExpired({ rules, now }: Pass, version: StoredVersion): boolean {
  return rules.some((rule) => {
    if (!concerns(rule, limitsOf(version))) return false;
    if (version.isDeleteMarker && rule.removesMarkers) return true;
    if (rule.expireFrom !== null && now.toISOString() >= rule.expireFrom) return true;
    return rule.expireAfter !== null && isOver(version.modified, rule.expireAfter, now);
  });
}
