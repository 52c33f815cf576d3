/**
 * What runs that were broken off have left behind, snapshot by snapshot, and how each piece is removed.
 *
 * Nothing is taken for ours by its name alone. A temporary volume carries the tag, the bucket and prefix that it works
 * for, and the snapshot that it was made of. Uploads and objects are ours when a claim that nobody holds any more names
 * them, or was there when they were begun.
 */
import { type Claim, claimFolder, claimKey } from '../../archive/claim.ts';
import { parseAnyKey } from '../../archive/key.ts';
import type { Volume } from '../../cloud/ports.ts';
import { IN_PROGRESS } from '../../host/volumes/temporary-volume.ts';
import { ARCHIVES_TAG, restoreTags, subjectOf } from '../../host/volumes/volume-marks.ts';
import { inParallel } from '../../lib/parallel.ts';
import { archivesMark } from '../sharing/claimed-work.ts';
import { type FoundClaim, findClaim } from '../sharing/claims.ts';
import { leftInBucket } from './left-in-bucket.ts';
import { leftInEc2 } from './left-in-ec2.ts';
import type { Leftover, Survey, Trace } from './leftover.ts';

/** Claims read at once. */
const CONCURRENCY = 16;

/**
 * Snapshots with a claim, a temporary volume or a tag that says that work is under way. Whatever their number, EC2 and
 * the bucket are asked for all of them at once; only claims are read one by one.
 */
export async function findTraces(survey: Survey): Promise<Trace[]> {
  const { settings, services, signal } = survey;
  const { prefix, tagKey } = settings;
  const { store, snapshots } = services;
  const keys = await store.list(claimFolder(prefix), { signal });
  const volumes = await services.volumes.withTags({ [tagKey]: IN_PROGRESS }, null, { signal });
  const ids = new Set([
    ...keys.flatMap((key) => /(snap-[0-9a-f]+)\.json$/.exec(key)?.[1] ?? []),
    ...volumes.filter((volume) => isOurs(volume, survey)).map(subjectOf),
    ...(await snapshots.tagged(tagKey, 'migrating', { signal })).map(({ id }) => id),
    ...(await snapshots.tagged(tagKey, 'validating', { signal })).map(({ id }) => id),
  ]);
  const known = new Map((await snapshots.byId([...ids], { signal })).map((snapshot) => [snapshot.id, snapshot]));
  const bySubject = Map.groupBy(volumes, subjectOf);
  const uploads = ids.size === 0 ? [] : await store.unfinishedUploads(prefix, { signal });
  const uploadsOf = Map.groupBy(uploads, ({ key }) => parseAnyKey(key)?.snapshotId ?? '');
  const claims = await findClaims(prefix, ids, survey);
  return [...ids].map((id) => {
    const facts = { found: claims.get(id) ?? null, snapshot: known.get(id) ?? null };
    const own = { volumes: bySubject.get(id) ?? [], uploads: uploadsOf.get(id) ?? [] };
    return traceFrom({ ...facts, ...own, snapshotId: id }, survey);
  });
}

async function findClaims(prefix: string, ids: Iterable<string>, survey: Survey): Promise<Map<string, FoundClaim>> {
  const claims = new Map<string, FoundClaim>();
  await inParallel([...ids], CONCURRENCY, survey.signal, async (id, signal) => {
    const found = await findClaim(claimKey(prefix, id), survey.services.store, signal);
    if (found) claims.set(id, found);
  });
  return claims;
}

/** Of one snapshot, asked for anew. */
export async function traceOf(snapshotId: string, found: FoundClaim | null, survey: Survey): Promise<Trace> {
  const { settings, services, signal } = survey;
  const temporary = { [settings.tagKey]: IN_PROGRESS };
  const volumes = [
    ...(await services.volumes.withTags(temporary, snapshotId, { signal })),
    ...(await services.volumes.withTags({ ...temporary, ...restoreTags(snapshotId) }, null, { signal })),
  ];
  const [snapshot = null] = await services.snapshots.byId([snapshotId], { signal });
  // Keys begin with the volume; where nobody knows it, all of them are looked through.
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

/** In the order in which they are removed: the claim, which remembers the others, comes last. */
export async function leftoversOf(trace: Trace, survey: Survey): Promise<Leftover[]> {
  const { found } = trace;
  if (found?.isLive) return [];
  const left = [...(await leftInEc2(trace, survey)), ...(await leftInBucket(trace, survey))];
  if (found) left.push(leftClaim(found));
  return left.map((leftover) => ({ ...leftover, obstacle: leftover.obstacle ?? tooYoung(leftover, trace, survey) }));
}

/** A claim goes with its holder: whoever removes what it covers holds it, and gives it up at the end. */
const leftClaim = ({ key, claim, ageSeconds }: FoundClaim): Leftover => ({
  kind: 'claim',
  id: key,
  what: describeHolder(claim),
  ageSeconds,
  dollarsMonth: null,
  obstacle: null,
  remove: async () => {},
});

const describeHolder = (claim: Claim | null): string =>
  claim?.holder ? `of process ${claim.holder.pid} on ${claim.holder.host}, which is gone` : 'of a run that was stopped';

/** A run that goes on where another broke off is given time to come. */
function tooYoung({ ageSeconds }: Leftover, { found }: Trace, { settings }: Survey): string | null {
  const age = found ? found.ageSeconds : ageSeconds;
  if (age === null || age >= settings.olderThan) return null;
  return 'younger than --older-than: the same command, run again, would go on from it';
}
