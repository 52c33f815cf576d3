/** `migrate`: all selected snapshots, one after the other; a bad one never stops the others. */
import { objectTags } from '../archive/tags.ts';
import type { Snapshot } from '../cloud/ports.ts';
import { asError, EXIT, type ExitCode, SnapError } from '../errors.ts';
import { monotonic } from '../lib/clock.ts';
import { rootFailure } from '../lib/disposal.ts';
import { migrateSnapshot } from './migrate-snapshot.ts';
import { planSnapshot } from './plan.ts';
import { preflight } from './preflight.ts';
import { type Selected, select } from './select.ts';
import type { MigrateSettings, Services } from './settings.ts';

/**
 * @returns `EXIT.ok`, or `EXIT.someFailed` when some were done and some not.
 * @throws SnapError the reason, when nothing could be done at all; `INTERRUPTED` when stopped.
 */
export async function migrate(settings: MigrateSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  await preflight(settings, services, signal);
  const selected = await select(settings.selection, settings.tagKey, services.snapshots, signal);
  if (settings.dryRun) return showPlans(selected, settings, services);
  return migrateAll(selected, settings, services, signal);
}

function showPlans({ snapshots, refused }: Selected, settings: MigrateSettings, services: Services): ExitCode {
  for (const snapshot of snapshots) {
    const plan = planSnapshot(snapshot, settings, services.store.bucket);
    services.host.notify({ code: 'plan.snapshot', plan });
    warnOfTags(snapshot, settings, services);
  }
  for (const { id, error } of refused) {
    services.host.notify({ code: 'snapshot.finished', snapshot: id, outcome: 'failed', seconds: 0, error });
  }
  return verdict(
    snapshots.map(({ id }) => id),
    refused.map(({ error }) => error),
  );
}

async function migrateAll(
  { snapshots, refused }: Selected,
  settings: MigrateSettings,
  services: Services,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { host } = services;
  const started = monotonic();
  const done: string[] = [];
  const failed: string[] = [];
  const errors: SnapError[] = [];
  host.notify({ code: 'run.started', command: 'migrate', snapshots: snapshots.map(({ id }) => id) });
  for (const { id, error } of refused) {
    failed.push(id);
    errors.push(error);
    host.notify({ code: 'snapshot.finished', snapshot: id, outcome: 'failed', seconds: 0, error });
  }
  for (const snapshot of snapshots) {
    if (signal.aborted) break;
    const { isDone, error } = await migrateOne(snapshot, settings, services, signal);
    (isDone ? done : failed).push(snapshot.id);
    if (error) errors.push(error);
  }
  const seconds = (monotonic() - started) / 1000;
  host.notify({ code: 'run.finished', command: 'migrate', done, failed, seconds });
  signal.throwIfAborted();
  return verdict(done, errors);
}

/** @returns why it failed, or what could not be given back after it was done. */
async function migrateOne(
  snapshot: Snapshot,
  settings: MigrateSettings,
  services: Services,
  signal: AbortSignal,
): Promise<{ isDone: boolean; error: SnapError | null }> {
  const { host } = services;
  const started = monotonic();
  const { id, volumeId: volume, sizeGiB } = snapshot;
  host.notify({ code: 'snapshot.started', snapshot: id, volume, sizeGiB });
  warnOfTags(snapshot, settings, services);
  let isDone = false;
  const onDone = () => {
    isDone = true;
  };
  try {
    await migrateSnapshot(snapshot, settings, services, signal, onDone);
    host.notify({ code: 'snapshot.finished', snapshot: id, outcome: 'done', seconds: since(started) });
    return { isDone, error: null };
  } catch (thrown) {
    const { failure, cleanupFailures } = rootFailure(thrown);
    for (const cleanup of cleanupFailures) {
      const error = asSnapError(cleanup);
      host.notify({ code: 'cleanup.failed', snapshot: id, what: error.message, error });
    }
    const error = asSnapError(failure);
    if (isDone) {
      host.notify({ code: 'cleanup.failed', snapshot: id, what: error.message, error });
      host.notify({ code: 'snapshot.finished', snapshot: id, outcome: 'done', seconds: since(started) });
    } else {
      const outcome = error.code === 'INTERRUPTED' ? 'interrupted' : 'failed';
      host.notify({ code: 'snapshot.finished', snapshot: id, outcome, seconds: since(started), error });
    }
    return { isDone, error };
  }
}

const since = (started: number): number => (monotonic() - started) / 1000;

/** What no layer below has recognised is a bug, and says so, but must not stop the other snapshots. */
function asSnapError(thrown: unknown): SnapError {
  if (thrown instanceof SnapError) return thrown;
  return new SnapError('BUG', asError(thrown).message, {
    cause: thrown,
    hint: 'please report this with the lines above',
  });
}

function warnOfTags(snapshot: Snapshot, settings: MigrateSettings, { host }: Services): void {
  const { dropped } = objectTags(snapshot.tags, settings.tagKey);
  if (dropped.length === 0) return;
  host.notify({ code: 'tags.dropped', snapshot: snapshot.id, dropped, reason: 'S3 keeps 10 tags an object' });
}

/** One failure alone speaks for itself; several, or some among others, are told by the run's own lines. */
function verdict(done: readonly string[], errors: readonly SnapError[]): ExitCode {
  const [first] = errors;
  if (!first) return EXIT.ok;
  if (errors.every(({ code }) => code === 'CLEANUP_FAILED')) return EXIT.failed;
  if (done.length > 0) return EXIT.someFailed;
  return errors.length === 1 ? first.exitCode : EXIT.failed;
}
