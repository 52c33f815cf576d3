/** Processes several snapshots, sequentially or concurrently. The failure of one does not stop the others. */
import { asSnapError, EXIT, type ExitCode, type SnapError } from '../../errors.ts';
import type { Host, SnapshotOutcome } from '../../events.ts';
import { monotonic } from '../../lib/clock.ts';
import { rootFailure } from '../../lib/disposal.ts';
import { Semaphore } from './semaphore.ts';

/** `skipped` is the reason why there is nothing left to do. */
export type WorkOutcome = 'done' | { skipped: string };

export interface EachRun<T> {
  command: string;
  /** The region whose S3 prices the report uses; only if the run stores something. */
  priceRegion?: string;
  items: readonly T[];
  /** Maximum number of items that are processed at the same time. */
  concurrency: number;
  idOf: (item: T) => string;
  /** Requested ids that cannot be processed, with the reason. */
  refused: readonly { id: string; error: SnapError }[];
  /** @param onDone is called once the result is complete; later failures are failures of the cleanup. */
  work: (item: T, onDone: () => void) => Promise<WorkOutcome>;
  /**
   * Waits for an item that another run has claimed. `null` if a claimed item counts as failed, because it was requested by
   * id.
   * @returns whether the item may be free now.
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
  /** Whether at least one item was left to another run. */
  isShared: boolean;
}

/**
 * Processes all items and notifies the host of each outcome.
 * @returns the exit code of the run.
 * @throws the reason of the signal if the run was interrupted, after the items have released their resources.
 */
export async function runEach<T>(run: EachRun<T>): Promise<ExitCode> {
  const { command, host, signal, priceRegion = null } = run;
  const started = monotonic();
  const tally: Tally = { done: [], failed: [], skipped: [], interrupted: [], thawing: [], errors: [], isShared: false };
  host.notify({ code: 'run.started', command, snapshots: run.items.map(run.idOf), priceRegion });
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

/** @returns the items that other runs have claimed, if claimed items can be waited for. */
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
 * Waits for all claimed items at the same time, and processes those that become free because their run has died or has
 * released them, at most `concurrency` at a time. The others are skipped.
 */
async function workOnFreed<T>(claimed: readonly T[], run: EachRun<T>, tally: Tally): Promise<void> {
  const semaphore = new Semaphore(run.concurrency);
  const single = { ...run, concurrency: 1 };
  const wait = async (item: T) => {
    const isFree = await run.mayBeFree?.(item).catch(() => false);
    if (run.signal.aborted) return;
    const stillClaimed = isFree ? await semaphore.run(() => workThrough([item], single, tally)) : [item];
    if (stillClaimed.length === 0) return;
    tally.isShared = true;
    tally.skipped.push(run.idOf(item));
    const reason = 'another run is working on it';
    run.host.notify({ code: 'snapshot.skipped', snapshot: run.idOf(item), reason });
  };
  await Promise.all(claimed.map(wait));
}

interface Attempt {
  outcome: SnapshotOutcome | 'skipped' | 'claimed';
  /** The failure of the work, or of the cleanup after it. */
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

/** Interrupted work, and work that waits for S3 to thaw objects, has not failed. */
function outcomeOf({ code }: SnapError): SnapshotOutcome {
  if (code === 'INTERRUPTED') return 'interrupted';
  return code === 'THAWING' ? 'thawing' : 'failed';
}

/** The exit code of a run. A single failure determines it; several failures have a common one. */
export function verdictOf(done: readonly string[], errors: readonly SnapError[]): ExitCode {
  const [first] = errors;
  if (!first) return EXIT.ok;
  if (errors.some(({ code }) => code === 'DIFFERS')) return EXIT.differs;
  if (errors.every(({ code }) => code === 'CLEANUP_FAILED')) return EXIT.failed;
  if (errors.every(({ code }) => code === 'THAWING')) return EXIT.thawing;
  if (done.length > 0) return EXIT.someFailed;
  return errors.length === 1 ? first.exitCode : EXIT.failed;
}
