/** `clean`: finds what no run will use any more, and removes it when told to. */
import { EXIT, type ExitCode, SnapError } from '../../errors.ts';
import { sweepKilledRuns } from '../../host/volumes/killed-runs.ts';
import type { Services } from '../shared/services.ts';
import type { CleanSettings } from '../shared/settings/clean.ts';
import { ageIn, storeClock } from '../shared/store-clock.ts';
import { type AbandonedSnapshot, abandonedSnapshots, untagCommand } from '../sharing/resumable-snapshot.ts';
import type { Leftover, Survey, Trace } from './leftover.ts';
import { findTraces, leftoversOf } from './leftovers.ts';
import { removeLeftovers } from './remove-leftovers.ts';

interface Tally {
  found: number;
  removed: number;
  left: number;
  /** Of what was found and not removed, US dollars. */
  dollarsMonth: number;
  errors: SnapError[];
}

/**
 * Shows everything that is left; removes it with `settings.remove`.
 * @returns `EXIT.ok`, or `EXIT.failed` when something could not be removed.
 * @throws SnapError `BUCKET`, `ACCESS_DENIED` and what else keeps it from looking.
 */
export async function clean(settings: CleanSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  const clock = await storeClock(services.store, signal);
  if (settings.remove) await sweepKilledRuns(signal);
  const survey: Survey = { settings, services, signal, instanceId: await instanceId(services), clock };
  const tally: Tally = { found: 0, removed: 0, left: 0, dollarsMonth: 0, errors: [] };
  for (const trace of await findTraces(survey)) {
    signal.throwIfAborted();
    reportLiveClaim(trace, services);
    await cleanSnapshot(trace, survey, tally);
  }
  for (const abandoned of await abandonedSnapshots(services, signal)) {
    tell(leftSnapshot(abandoned, survey), abandoned.id, survey, tally);
  }
  const { found, removed, left, dollarsMonth, errors } = tally;
  services.host.notify({ code: 'clean.finished', isDryRun: !settings.remove, found, removed, left, dollarsMonth });
  return errors.length === 0 ? EXIT.ok : EXIT.failed;
}

/** For commands that give back what a run which is known to be over has left, of whatever age. */
export const surveyForRemoval = async (
  settings: Omit<CleanSettings, 'olderThan' | 'remove'>,
  services: Services,
  signal: AbortSignal,
): Promise<Survey> => ({
  settings: { ...settings, olderThan: 0, remove: true },
  services,
  signal,
  instanceId: await instanceId(services),
  clock: await storeClock(services.store, signal),
});

/** Elsewhere than on an instance, what is attached to one is only shown. */
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

async function cleanSnapshot(trace: Trace, survey: Survey, tally: Tally): Promise<void> {
  const leftovers = await leftoversOf(trace, survey);
  for (const leftover of leftovers) tell(leftover, trace.snapshotId, survey, tally);
  if (!survey.settings.remove || leftovers.every(({ obstacle }) => obstacle !== null)) return;
  const { removed, errors } = await removeLeftovers(trace, survey);
  tally.removed += removed.length;
  tally.dollarsMonth -= removed.reduce((sum, { dollarsMonth }) => sum + (dollarsMonth ?? 0), 0);
  tally.errors.push(...errors);
}

/** Shown only: this program deletes no snapshot that it did not begin itself in the same run. */
const leftSnapshot = (abandoned: AbandonedSnapshot, survey: Survey): Leftover => ({
  kind: 'snapshot',
  id: abandoned.id,
  what: `begun by restore --to-snapshot ${whatBecameOf(abandoned)}`,
  ageSeconds: ageIn(survey.clock, abandoned.startTime),
  dollarsMonth: null,
  obstacle: whatToDoAbout(abandoned),
  remove: async () => {},
});

function whatBecameOf({ state, block, mayLackTag }: AbandonedSnapshot): string {
  if (state === 'completed') {
    return `and completed; its mark is left${mayLackTag ? ', in the place of a tag of the old snapshot' : ''}`;
  }
  if (state === 'error') return 'and not completed; EBS has cancelled it (state error), and it holds nothing to use';
  const isPending = state === 'pending' ? '' : `, in state ${state}`;
  return `and not completed${isPending}${block === null ? '' : `, at least ${block} blocks written`}`;
}

function whatToDoAbout({ id, state, canResume, mayBeWritten }: AbandonedSnapshot): string {
  const remedy = `aws ec2 delete-snapshot --snapshot-id ${id}`;
  if (state === 'completed') return `keep it, and remove the mark: ${untagCommand(id)}`;
  if (state === 'error') return `nothing can resume it: ${remedy}`;
  if (mayBeWritten) return `a run on another machine may be writing it; if it is gone: ${remedy}`;
  return canResume ? `run the same restore again, which resumes it, or: ${remedy}` : `nothing can resume it: ${remedy}`;
}

function tell(leftover: Leftover, snapshotId: string, { services }: Survey, tally: Tally): void {
  const { remove: _, ...facts } = leftover;
  tally.found++;
  if (leftover.obstacle !== null) tally.left++;
  tally.dollarsMonth += leftover.dollarsMonth ?? 0;
  services.host.notify({ code: 'clean.found', snapshot: snapshotId, ...facts });
}
