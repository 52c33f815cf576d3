/**
 * What runs that were broken off have left behind, snapshot by snapshot, and how each piece is removed.
 *
 * Nothing is taken for ours by its name alone. A temporary volume carries the tag, the bucket and prefix that it works
 * for, and the snapshot that it was made of. Uploads and objects are ours when a claim that nobody holds any more names
 * them, or was there when they were begun.
 */
import { type Claim, claimFolder, claimKey } from '../archive/claim.ts';
import { IN_PROGRESS } from '../host/temporary-volume.ts';
import { ARCHIVES_TAG, fillingMarks, subjectOf } from '../host/volume-marks.ts';
import { archivesMark } from './claimed-work.ts';
import { type FoundClaim, findClaim } from './claims.ts';
import { leftInBucket } from './left-in-bucket.ts';
import { leftInEc2 } from './left-in-ec2.ts';
import type { Leftover, Survey, Trace } from './leftover.ts';

/** Snapshots with a claim, a temporary volume or a tag that says that work is under way. */
export async function findTraces(survey: Survey): Promise<Trace[]> {
  const { settings, services, signal } = survey;
  const { prefix, tagKey } = settings;
  const { store, snapshots, volumes } = services;
  const claims = await store.list(claimFolder(prefix), { signal });
  const marks = { [tagKey]: IN_PROGRESS, [ARCHIVES_TAG]: archivesMark(services, prefix) };
  const ids = new Set([
    ...claims.flatMap((key) => /(snap-[0-9a-f]+)\.json$/.exec(key)?.[1] ?? []),
    ...(await volumes.marked(marks, null, { signal })).map(subjectOf),
    ...(await snapshots.tagged(tagKey, 'migrating', { signal })).map(({ id }) => id),
    ...(await snapshots.tagged(tagKey, 'validating', { signal })).map(({ id }) => id),
  ]);
  const traces: Trace[] = [];
  for (const id of ids) {
    traces.push(await traceOf(id, await findClaim(claimKey(prefix, id), store, signal), survey));
  }
  return traces;
}

export async function traceOf(snapshotId: string, found: FoundClaim | null, survey: Survey): Promise<Trace> {
  const { settings, services, signal } = survey;
  const mark = archivesMark(services, settings.prefix);
  const temporary = { [settings.tagKey]: IN_PROGRESS };
  const volumes = [
    ...(await services.volumes.marked(temporary, snapshotId, { signal })),
    ...(await services.volumes.marked({ ...temporary, ...fillingMarks(snapshotId) }, null, { signal })),
  ];
  const [snapshot = null] = await services.snapshots.byId([snapshotId], { signal });
  return {
    snapshotId,
    found,
    volumes: volumes.filter(({ tags }) => tags[ARCHIVES_TAG] === mark),
    isUsedByOthers: volumes.some(({ tags }) => tags[ARCHIVES_TAG] !== mark),
    snapshot,
    uploads: await services.store.unfinishedUploads(settings.prefix, { signal }),
  };
}

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
