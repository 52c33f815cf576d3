/** The operation `clean`: finds the leftovers of interrupted runs, and optionally removes them. */
import { EXIT, type ExitCode, SnapError } from '../../errors.ts';
import { sweepKilledRuns } from '../../host/volumes/killed-runs.ts';
import { findTraces, leftoversOf } from '../leftovers/find-leftovers.ts';
import type { Leftover, Survey, Trace } from '../leftovers/leftover.ts';
import { bucketPrices } from '../shared/bucket-prices.ts';
import type { Services } from '../shared/services.ts';
import type { CleanSettings } from '../shared/settings/clean.ts';
import { ageIn, storeClock } from '../shared/store-clock.ts';
import { type AbandonedSnapshot, abandonedSnapshots } from '../sharing/abandoned-snapshots.ts';
import type { CleanSurvey } from './remove-leftover.ts';
import { noteUnknown, removeLeftovers } from './remove-leftovers.ts';

interface Tally {
  found: number;
  removed: number;
  left: number;
  /** Monthly cost of the leftovers that were not removed, in US dollars. */
  dollarsMonth: number;
  errors: SnapError[];
}

/**
 * Reports all leftovers, and removes them if `settings.remove` is set.
 * @returns `EXIT.ok`, or `EXIT.failed` if a leftover could not be removed, or if a snapshot could not be examined.
 * @throws SnapError `BUCKET`, `ACCESS_DENIED`, and other errors of calls to AWS.
 */
export async function clean(settings: CleanSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  const clock = await storeClock(services.store, signal);
  if (settings.remove) await sweepKilledRuns(signal);
  const { prices } = await bucketPrices(services, signal);
  const facts = { instanceId: await instanceId(services), clock, bucketPrices: prices };
  const survey: CleanSurvey = { settings, services, signal, ...facts };
  const tally: Tally = { found: 0, removed: 0, left: 0, dollarsMonth: 0, errors: [] };
  const { traces, failures } = await findTraces(survey);
  for (const { snapshotId, error } of failures) tally.errors.push(noteUnknown(snapshotId, error, survey));
  for (const trace of traces) {
    signal.throwIfAborted();
    reportLiveClaim(trace, services);
    await cleanSnapshot(trace, survey, tally);
  }
  for (const abandoned of await abandonedSnapshots(services, signal)) {
    report(leftSnapshot(abandoned, survey), abandoned.id, survey, tally);
  }
  const { found, removed, left, dollarsMonth, errors } = tally;
  services.host.notify({ code: 'clean.finished', isDryRun: !settings.remove, found, removed, left, dollarsMonth });
  return errors.length === 0 ? EXIT.ok : EXIT.failed;
}

/** A survey for commands that remove leftovers of any age, because the run that left them has certainly ended. */
export const surveyForRemoval = async (
  settings: Omit<CleanSettings, 'olderThan' | 'remove'>,
  services: Services,
  signal: AbortSignal,
): Promise<CleanSurvey> => ({
  settings: { ...settings, olderThan: 0, remove: true },
  services,
  signal,
  instanceId: await instanceId(services),
  clock: await storeClock(services.store, signal),
  bucketPrices: (await bucketPrices(services, signal)).prices,
});

/** @returns `null` if this machine is not an EC2 instance. Attached volumes are then reported but not removed. */
async function instanceId(services: Services): Promise<string | null> {
  try {
    return (await services.instance()).id;
  } catch (error) {
    if (error instanceof SnapError && (error.code === 'NOT_ON_INSTANCE' || error.code === 'USAGE')) return null;
    throw error;
  }
}

function reportLiveClaim({ found, snapshotId }: Trace, { host }: Services): void {
  if (!found?.isLive) return;
  const holder = found.claim?.holder;
  const who = holder ? `process ${holder.pid} on ${holder.host}` : 'another run';
  host.notify({ code: 'snapshot.skipped', snapshot: snapshotId, reason: `${who} is working on it` });
}

async function cleanSnapshot(trace: Trace, survey: CleanSurvey, tally: Tally): Promise<void> {
  const leftovers = await leftoversOf(trace, survey).catch((error: unknown) => {
    tally.errors.push(noteUnknown(trace.snapshotId, error, survey));
    return [];
  });
  for (const leftover of leftovers) report(leftover, trace.snapshotId, survey, tally);
  if (!survey.settings.remove || leftovers.every(({ obstacle }) => obstacle !== null)) return;
  const { removed, errors } = await removeLeftovers(trace, survey);
  tally.removed += removed.length;
  tally.dollarsMonth -= removed.reduce((sum, { dollarsMonth }) => sum + (dollarsMonth ?? 0), 0);
  tally.errors.push(...errors);
}

/** New snapshots are only reported: a run deletes only snapshots that it created itself. */
const leftSnapshot = (abandoned: AbandonedSnapshot, survey: Survey): Leftover => ({
  kind: 'snapshot',
  id: abandoned.id,
  what: abandoned.what,
  ageSeconds: ageIn(survey.clock, abandoned.startTime),
  dollarsMonth: null,
  obstacle: abandoned.advice,
  subject: { kind: 'snapshot' },
});

function report(leftover: Leftover, snapshotId: string, { services }: Survey, tally: Tally): void {
  const { subject: _, ...facts } = leftover;
  tally.found++;
  if (leftover.obstacle !== null) tally.left++;
  tally.dollarsMonth += leftover.dollarsMonth ?? 0;
  services.host.notify({ code: 'clean.found', snapshot: snapshotId, ...facts });
}
