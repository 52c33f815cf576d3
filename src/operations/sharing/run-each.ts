/** Work on several snapshots, one after the other or some at once: a bad one never stops the others. */
import { asSnapError, EXIT, type ExitCode, type SnapError } from '../../errors.ts';
import type { Host, SnapshotOutcome } from '../../events.ts';
import { monotonic } from '../../lib/clock.ts';
import { rootFailure } from '../../lib/disposal.ts';
import { Semaphore } from './semaphore.ts';

/** `skipped`: there is nothing to do any more, and why. */
export type WorkOutcome = 'done' | { skipped: string };

export interface EachRun<T> {
  command: string;
  items: readonly T[];
  /** How many are worked on at once. */
  concurrency: number;
  idOf: (item: T) => string;
  /** Ids that were asked for and cannot be worked on, with the reason. */
  refused: readonly { id: string; error: SnapError }[];
  /** @param onDone told once what was promised is true; what fails afterwards is a clean-up. */
  work: (item: T, onDone: () => void) => Promise<WorkOutcome>;
  /**
   * Where several runs share the work: waits a while for one that another run has claimed. `null`: who is named and
   * claimed has failed.
   * @returns whether it may be free after all.
   */
  mayBeFree: ((item: T) => Promise<boolean>) | null;
  host: Host;
  signal: AbortSignal;
}

interface Tally {
  done: string[];
  failed: string[];
  skipped: string[];
  interrupted: string[];
  thawing: string[];
  errors: SnapError[];
  /** Whether anything was left to other runs. */
  isShared: boolean;
}

/** @throws the signal's reason when stopped, after everything was given back and told. */
export async function runEach<T>(run: EachRun<T>): Promise<ExitCode> {
  const { command, host, signal } = run;
  const started = monotonic();
  const tally: Tally = { done: [], failed: [], skipped: [], interrupted: [], thawing: [], errors: [], isShared: false };
  host.notify({ code: 'run.started', command, snapshots: run.items.map(run.idOf) });
  for (const { id, error } of run.refused) {
    tally.failed.push(id);
    tally.errors.push(error);
    host.notify({ code: 'snapshot.finished', snapshot: id, outcome: 'failed', seconds: 0, error });
  }
  const claimed = await workThrough(run.items, run, tally);
  await workOnFreed(claimed, run, tally);
  const { done, failed, skipped, interrupted, thawing, errors } = tally;
  const seconds = (monotonic() - started) / 1000;
  host.notify({ code: 'run.finished', command, done, failed, skipped, interrupted, thawing, seconds });
  signal.throwIfAborted();
  if (done.length === 0 && errors.length === 0 && tally.isShared) return EXIT.claimedElsewhere;
  return verdictOf(done, errors);
}

/** @returns items that other runs have claimed, where work is shared. */
async function workThrough<T>(items: readonly T[], run: EachRun<T>, tally: Tally): Promise<T[]> {
  const claimed: T[] = [];
  const waiting = items.values();
  const worker = async () => {
    for (const item of waiting) {
      if (run.signal.aborted) return;
      const { outcome, error } = await runOne(item, run);
      if (outcome === 'claimed') claimed.push(item);
      else tally[outcome].push(run.idOf(item));
      if (error) tally.errors.push(error);
    }
  };
  await Promise.all(Array.from({ length: run.concurrency }, worker));
  return claimed;
}

/**
 * What others have claimed is theirs, unless they turn out to be gone. All claims are waited for at once, each for up to
 * a third of its life; what proves to be free is worked on as usual, no more at once than `concurrency`.
 */
async function workOnFreed<T>(claimed: readonly T[], run: EachRun<T>, tally: Tally): Promise<void> {
  const semaphore = new Semaphore(run.concurrency);
  const one = { ...run, concurrency: 1 };
  const wait = async (item: T) => {
    const isFree = await run.mayBeFree?.(item).catch(() => false);
    if (run.signal.aborted) return;
    const again = isFree ? await semaphore.run(() => workThrough([item], one, tally)) : [item];
    if (again.length === 0) return;
    tally.isShared = true;
    tally.skipped.push(run.idOf(item));
    const reason = 'another run is working on it';
    run.host.notify({ code: 'snapshot.skipped', snapshot: run.idOf(item), reason });
  };
  await Promise.all(claimed.map(wait));
}

interface Attempt {
  outcome: SnapshotOutcome | 'skipped' | 'claimed';
  /** Why it failed, or what could not be given back after it was done. */
  error: SnapError | null;
}

async function runOne<T>(item: T, { idOf, work, host, mayBeFree }: EachRun<T>): Promise<Attempt> {
  const started = monotonic();
  const snapshot = idOf(item);
  let isDone = false;
  const finish = (outcome: SnapshotOutcome, error?: SnapError) => {
    const seconds = (monotonic() - started) / 1000;
    host.notify({ code: 'snapshot.finished', snapshot, outcome, seconds, ...(error && !isDone ? { error } : {}) });
  };
  try {
    const outcome = await work(item, () => {
      isDone = true;
    });
    if (outcome !== 'done') {
      host.notify({ code: 'snapshot.skipped', snapshot, reason: outcome.skipped });
      return { outcome: 'skipped', error: null };
    }
    isDone = true;
    finish('done');
    return { outcome, error: null };
  } catch (thrown) {
    const { failure, cleanupFailures } = rootFailure(thrown);
    const error = asSnapError(failure);
    if (error.code === 'CLAIMED' && mayBeFree && cleanupFailures.length === 0)
      return { outcome: 'claimed', error: null };
    const left = [...cleanupFailures.map(asSnapError), ...(isDone ? [error] : [])];
    for (const cleanup of left)
      host.notify({ code: 'cleanup.failed', snapshot, what: cleanup.message, error: cleanup });
    const outcome = isDone ? 'done' : outcomeOf(error);
    finish(outcome, error);
    return { outcome, error };
  }
}

/** What was stopped, and what waits for S3, has not failed. */
function outcomeOf({ code }: SnapError): SnapshotOutcome {
  if (code === 'INTERRUPTED') return 'interrupted';
  return code === 'THAWING' ? 'thawing' : 'failed';
}

/** One failure alone speaks for itself; several, or some among others, are told by the run's own lines. */
export function verdictOf(done: readonly string[], errors: readonly SnapError[]): ExitCode {
  const [first] = errors;
  if (!first) return EXIT.ok;
  if (errors.some(({ code }) => code === 'DIFFERS')) return EXIT.differs;
  if (errors.every(({ code }) => code === 'CLEANUP_FAILED')) return EXIT.failed;
  if (errors.every(({ code }) => code === 'THAWING')) return EXIT.thawing;
  if (done.length > 0) return EXIT.someFailed;
  return errors.length === 1 ? first.exitCode : EXIT.failed;
}
