/**
 * Finds the leftovers of interrupted runs by snapshot. It only reads.
 *
 * A name alone never shows that something belongs to this program. A temporary volume has tags with its bucket, its prefix
 * and its snapshot. An upload or an object belongs to this program if an abandoned claim records it, or existed when it was
 * started.
 */
import { type Claim, claimFolder, claimKey, snapshotOfClaim } from '../../archive/claim.ts';
import { parseAnyKey } from '../../archive/key.ts';
import type { Volume } from '../../cloud/ports.ts';
import type { SnapError } from '../../errors.ts';
import { IN_PROGRESS } from '../../host/volumes/temporary-volume.ts';
import { ARCHIVES_TAG, restoreTags, subjectOf } from '../../host/volumes/volume-marks.ts';
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { inParallel } from '../../lib/parallel.ts';
import { archivesMark } from '../sharing/claimed-work.ts';
import { type FoundClaim, findClaim } from '../sharing/claims.ts';
import { leftInBucket } from './left-in-bucket.ts';
import { leftInEc2 } from './left-in-ec2.ts';
import type { Leftover, Survey, Trace } from './leftover.ts';

/** Maximum number of claims that are read at the same time. */
const CONCURRENCY = 16;

export interface FoundTraces {
  traces: Trace[];
  /** Snapshots without a trace, because their claim could not be read. */
  failures: { snapshotId: string; error: SnapError }[];
  /** The number of all snapshots, including those beyond the limit. */
  total: number;
}

/**
 * Finds all snapshots that have a claim, a temporary volume, or a tag that says that work is in progress. The number of
 * calls to EC2 and to the bucket does not depend on the number of snapshots, except for one read per claim.
 * @param limit maximum number of traces.
 */
export async function findTraces(survey: Survey, limit = Number.POSITIVE_INFINITY): Promise<FoundTraces> {
  const { settings, services, signal } = survey;
  const { prefix, tagKey } = settings;
  const { store, snapshots } = services;
  const keys = await store.list(claimFolder(prefix), { signal });
  const volumes = await services.volumes.withTags({ [tagKey]: IN_PROGRESS }, null, { signal });
  const found = new Set([
    ...keys.flatMap((key) => snapshotOfClaim(key) ?? []),
    ...volumes.filter((volume) => isOurs(volume, survey)).map(subjectOf),
    ...(await snapshots.tagged(tagKey, 'migrating', { signal })).map(({ id }) => id),
    ...(await snapshots.tagged(tagKey, 'validating', { signal })).map(({ id }) => id),
  ]);
  const ids = [...found].slice(0, limit);
  const known = new Map((await snapshots.byId(ids, { signal })).map((snapshot) => [snapshot.id, snapshot]));
  const bySubject = Map.groupBy(volumes, subjectOf);
  const uploads = ids.length === 0 ? [] : await store.unfinishedUploads(prefix, { signal });
  const uploadsOf = Map.groupBy(uploads, ({ key }) => parseAnyKey(key)?.snapshotId ?? '');
  const { claims, failures } = await findClaims(prefix, ids, survey);
  const failed = new Set(failures.map(({ snapshotId }) => snapshotId));
  const readable = ids.filter((id) => !failed.has(id));
  const traces = readable.map((id) => {
    const facts = { found: claims.get(id) ?? null, snapshot: known.get(id) ?? null };
    const own = { volumes: bySubject.get(id) ?? [], uploads: uploadsOf.get(id) ?? [] };
    return traceFrom({ ...facts, ...own, snapshotId: id }, survey);
  });
  return { traces, failures, total: found.size };
}

async function findClaims(prefix: string, ids: readonly string[], survey: Survey) {
  const claims = new Map<string, FoundClaim>();
  const failures: FoundTraces['failures'] = [];
  await inParallel(ids, CONCURRENCY, survey.signal, async (snapshotId, signal) => {
    try {
      const found = await findClaim(claimKey(prefix, snapshotId), survey.services.store, signal);
      if (found) claims.set(snapshotId, found);
    } catch (thrown) {
      failures.push({ snapshotId, error: failureOfOne(thrown) });
    }
  });
  return { claims, failures };
}

/** Reads the current state of one snapshot. */
export async function traceOf(snapshotId: string, found: FoundClaim | null, survey: Survey): Promise<Trace> {
  const { settings, services, signal } = survey;
  const temporary = { [settings.tagKey]: IN_PROGRESS };
  const volumes = [
    ...(await services.volumes.withTags(temporary, snapshotId, { signal })),
    ...(await services.volumes.withTags({ ...temporary, ...restoreTags(snapshotId) }, null, { signal })),
  ];
  const [snapshot = null] = await services.snapshots.byId([snapshotId], { signal });
  // Keys begin with the volume id. If it is unknown, all uploads below the prefix are listed.
  const volumeId = snapshot?.volumeId ?? found?.claim?.volume;
  const below = volumeId === undefined ? settings.prefix : `${settings.prefix}${volumeId}/`;
  const uploads = await services.store.unfinishedUploads(below, { signal });
  return traceFrom({ snapshotId, found, snapshot, volumes, uploads }, survey);
}

const traceFrom = ({ volumes, ...facts }: Omit<Trace, 'isUsedByOthers'>, survey: Survey): Trace => ({
  ...facts,
  volumes: volumes.filter((volume) => isOurs(volume, survey)),
  isUsedByOthers: volumes.some((volume) => !isOurs(volume, survey)),
});

const isOurs = ({ tags }: Volume, { settings, services }: Survey): boolean =>
  tags[ARCHIVES_TAG] === archivesMark(services, settings.prefix);

/** The leftovers in the order of removal. The claim is last, because it records the others. */
export async function leftoversOf(trace: Trace, survey: Survey): Promise<Leftover[]> {
  const { found } = trace;
  if (found?.isLive) return [];
  const left = [...(await leftInEc2(trace, survey)), ...(await leftInBucket(trace, survey))];
  if (found) left.push(leftClaim(found));
  return left.map((leftover) => ({ ...leftover, obstacle: leftover.obstacle ?? tooYoung(leftover, trace, survey) }));
}

/** The claim needs no removal of its own: `removeLeftovers` holds it, and releases it at the end. */
const leftClaim = ({ key, claim, ageSeconds }: FoundClaim): Leftover => ({
  kind: 'claim',
  id: key,
  what: describeHolder(claim),
  ageSeconds,
  dollarsMonth: null,
  obstacle: null,
  subject: { kind: 'claim' },
});

const describeHolder = (claim: Claim | null): string =>
  claim?.holder ? `of process ${claim.holder.pid} on ${claim.holder.host}, which has died` : 'of an interrupted run';

/** Recent leftovers are kept, so that a later run can resume the work. */
function tooYoung({ ageSeconds }: Leftover, { found }: Trace, { settings }: Survey): string | null {
  const age = found ? found.ageSeconds : ageSeconds;
  if (age === null || age >= settings.olderThan) return null;
  return 'younger than --older-than; running the interrupted command again would resume from it';
}
