/** Work on several snapshots, one after the other: a bad one never stops the others. */
import { asError, EXIT, type ExitCode, SnapError } from '../errors.ts';
import type { Host } from '../events.ts';
import { monotonic } from '../lib/clock.ts';
import { rootFailure } from '../lib/disposal.ts';

export interface EachRun<T> {
  command: string;
  items: readonly T[];
  idOf: (item: T) => string;
  /** Ids that were asked for and cannot be worked on, with the reason. */
  refused: readonly { id: string; error: SnapError }[];
  /** @param onDone told once what was promised is true; what fails afterwards is a clean-up. */
  work: (item: T, onDone: () => void) => Promise<void>;
  host: Host;
  signal: AbortSignal;
}

/** @throws the signal's reason when stopped, after everything was given back and told. */
export async function runEach<T>(run: EachRun<T>): Promise<ExitCode> {
  const { command, host, signal } = run;
  const started = monotonic();
  const done: string[] = [];
  const failed: string[] = [];
  const errors: SnapError[] = [];
  host.notify({ code: 'run.started', command, snapshots: run.items.map(run.idOf) });
  for (const { id, error } of run.refused) {
    failed.push(id);
    errors.push(error);
    host.notify({ code: 'snapshot.finished', snapshot: id, outcome: 'failed', seconds: 0, error });
  }
  for (const item of run.items) {
    if (signal.aborted) break;
    const { isDone, error } = await runOne(item, run);
    (isDone ? done : failed).push(run.idOf(item));
    if (error) errors.push(error);
  }
  host.notify({ code: 'run.finished', command, done, failed, seconds: (monotonic() - started) / 1000 });
  signal.throwIfAborted();
  return verdictOf(done, errors);
}

/** @returns why it failed, or what could not be given back after it was done. */
async function runOne<T>(
  item: T,
  { idOf, work, host }: EachRun<T>,
): Promise<{ isDone: boolean; error: SnapError | null }> {
  const started = monotonic();
  const snapshot = idOf(item);
  let isDone = false;
  const finish = (error?: SnapError) => {
    const outcome = isDone ? 'done' : error?.code === 'INTERRUPTED' ? 'interrupted' : 'failed';
    const seconds = (monotonic() - started) / 1000;
    host.notify({ code: 'snapshot.finished', snapshot, outcome, seconds, ...(error && !isDone ? { error } : {}) });
  };
  try {
    await work(item, () => {
      isDone = true;
    });
    isDone = true;
    finish();
    return { isDone, error: null };
  } catch (thrown) {
    const { failure, cleanupFailures } = rootFailure(thrown);
    const error = asSnapError(failure);
    const left = [...cleanupFailures.map(asSnapError), ...(isDone ? [error] : [])];
    for (const cleanup of left)
      host.notify({ code: 'cleanup.failed', snapshot, what: cleanup.message, error: cleanup });
    finish(error);
    return { isDone, error };
  }
}

/** What no layer below has recognised is a bug, and says so, but must not stop the other snapshots. */
function asSnapError(thrown: unknown): SnapError {
  if (thrown instanceof SnapError) return thrown;
  return new SnapError('BUG', asError(thrown).message, {
    cause: thrown,
    hint: 'please report this with the lines above',
  });
}

/** One failure alone speaks for itself; several, or some among others, are told by the run's own lines. */
export function verdictOf(done: readonly string[], errors: readonly SnapError[]): ExitCode {
  const [first] = errors;
  if (!first) return EXIT.ok;
  if (errors.some(({ code }) => code === 'DIFFERS')) return EXIT.differs;
  if (errors.every(({ code }) => code === 'CLEANUP_FAILED')) return EXIT.failed;
  if (done.length > 0) return EXIT.someFailed;
  return errors.length === 1 ? first.exitCode : EXIT.failed;
}
