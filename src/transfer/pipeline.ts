/**
 * A chain of child processes joined by pipes; this process sees the end of the last pipe only.
 *
 * The end of a byte stream says nothing about its truth: a compressor whose producer died ends its output as calmly
 * as ever. So a pipeline has a verdict apart from its bytes, and `finished` resolves only when every stage exited 0.
 */
import { SnapError } from '../errors.ts';
import { seconds, sleep } from '../lib/clock.ts';
import { cannotStart, describeOutcome, lastLine, lastWords, type Outcome } from './outcome.ts';
import { closeAll, makePipes, type Pipe } from './pipes.ts';
import { type RunningProcess, requestStop, startStage } from './process.ts';

export interface Stage {
  /** As people know it, for errors: `tar`, `lz4`, `gpg`. */
  name: string;
  argv: readonly string[];
  /** Exit codes that are answers rather than failures; `[0]` by default. */
  allowedExitCodes?: readonly number[];
  /** File descriptors for 3 and up; they stay the caller's. */
  others?: readonly number[];
  onStderrLine?: (line: string) => void;
}

export interface StageReport {
  name: string;
  exitCode: number;
  stderrTail: string;
}

/** A stage that ran, and failed by itself. */
export class StageError extends SnapError {
  /** Its name. */
  readonly stage: string;
  readonly outcome: Outcome;
  /** The last line that it wrote to standard error. */
  readonly said: string;
  /** What became of it, without what became of the other stages. */
  readonly reason: string;

  /** @param others names of the other stages. */
  constructor(stage: string, outcome: Outcome, others: readonly string[]) {
    const reason = `${stage} ${describeOutcome(outcome)}${lastLine(outcome.stderrTail)}`;
    const stopped = others.length === 0 ? '' : `; ${others.join(' and ')} stopped`;
    super('STAGE_FAILED', `${reason}${stopped}`, {
      hint: 'nothing was stored; what the stage says is the cause, then run the same command again',
    });
    this.stage = stage;
    this.outcome = outcome;
    this.said = lastWords(outcome.stderrTail);
    this.reason = reason;
  }
}

export interface RunningPipeline extends AsyncDisposable {
  /** The read end of the last pipe; whoever reads it closes it. */
  readonly output: number;
  /**
   * Every stage's report, in order, once all have exited 0, or with another code that they are allowed.
   * Rejects with a `StageError` naming the stage that caused it, or with the signal's reason; either way
   * only after every stage is gone.
   */
  readonly finished: Promise<StageReport[]>;
  /** Process ids by stage, for looking at their counters. */
  readonly pids: readonly (number | undefined)[];
}

export interface PipelineOptions {
  signal: AbortSignal;
  /** File descriptor that the first stage reads; it stays the caller's. */
  input?: number;
}

/** @throws SnapError `TOOL_MISSING`; nothing is left running then. */
export async function startPipeline(stages: readonly Stage[], options: PipelineOptions): Promise<RunningPipeline> {
  options.signal.throwIfAborted();
  const pipes = await makePipes(stages.length);
  const running = stages.map((stage, index) =>
    startStage(stage.argv, {
      stdin: index === 0 ? (options.input ?? null) : readEndOf(pipes, index - 1),
      stdout: writeEndOf(pipes, index),
      ...(stage.others ? { others: stage.others } : {}),
      ...(stage.onStderrLine ? { onStderrLine: stage.onStderrLine } : {}),
    }),
  );
  const output = readEndOf(pipes, pipes.length - 1);
  closeAll(pipes.flatMap(({ readEnd, writeEnd }) => (readEnd === output ? [writeEnd] : [readEnd, writeEnd])));
  const finished = superviseStages(stages, running, options.signal);
  finished.catch(() => {});
  return {
    output,
    finished,
    pids: running.map(({ pid }) => pid),
    [Symbol.asyncDispose]: async () => {
      await stopAll(running);
    },
  };
}

/** Waits for all of them, whatever becomes of one. */
async function stopAll(running: readonly RunningProcess[]): Promise<void> {
  const stopped = await Promise.allSettled(running.map((stage) => stage.stop()));
  const failures = stopped.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  if (failures.length > 0) throw failures.reduce((others, failure) => new SuppressedError(failure, others));
}

const pipeAt = (pipes: readonly Pipe[], index: number): Pipe => {
  const pipe = pipes[index];
  if (!pipe) throw new SnapError('BUG', `there is no pipe ${index}`);
  return pipe;
};

const readEndOf = (pipes: readonly Pipe[], index: number): number => pipeAt(pipes, index).readEnd;
const writeEndOf = (pipes: readonly Pipe[], index: number): number => pipeAt(pipes, index).writeEnd;

/** What a stage may take to end by itself once it has closed its input. */
const GRACE = seconds(3);

interface Failure {
  index: number;
  outcome: Outcome;
}

/** The first failure, or the signal, stops all the others; the verdict waits until they are gone. */
async function superviseStages(
  stages: readonly Stage[],
  running: readonly RunningProcess[],
  signal: AbortSignal,
): Promise<StageReport[]> {
  const failures: Failure[] = [];
  const ended = new AbortController();
  const requestAll = () => running.forEach(requestStop);
  signal.addEventListener('abort', requestAll, { once: true });
  // It may have fired while the pipes were made.
  if (signal.aborted) requestAll();
  const outcomes = await Promise.all(
    running.map(async ({ outcome }, index) => {
      const settled = await outcome;
      const allowed = stages[index]?.allowedExitCodes ?? [0];
      if (settled.exitCode === null || !allowed.includes(settled.exitCode)) {
        failures.push({ index, outcome: settled });
        // Its reader is about to end, and says why if it is let.
        if (isBrokenPipe(settled)) void sleep(GRACE, ended.signal).then(requestAll, () => {});
        else requestAll();
      }
      return settled;
    }),
  );
  ended.abort();
  signal.removeEventListener('abort', requestAll);
  signal.throwIfAborted();
  if (failures.length > 0) throw stageFailure(stages, failures);
  return outcomes.map(({ stderrTail, exitCode }, index) => ({
    name: stages[index]?.name ?? '',
    exitCode: exitCode ?? 0,
    stderrTail,
  }));
}

/**
 * A stage whose reader died is told so by SIGPIPE or "Broken pipe", and a stage that we stopped dies of SIGTERM: both
 * are echoes. Of the others, the culprit is the one farthest up: who reads from it failed for want of what it owed,
 * though its exit may be seen earlier.
 */
function stageFailure(stages: readonly Stage[], failures: readonly Failure[]): SnapError {
  const fromAbove = failures.toSorted((one, other) => one.index - other.index);
  const culprit = fromAbove.find(({ outcome }) => !isEcho(outcome)) ?? failures[0];
  if (!culprit) throw new SnapError('BUG', 'a pipeline failed without a failure');
  const stage = stages[culprit.index];
  if (culprit.outcome.spawnError) return cannotStart(stage?.argv[0] ?? '', culprit.outcome.spawnError);
  const others = stages.filter((other) => other !== stage).map((other) => other.name);
  return new StageError(stage?.name ?? '', culprit.outcome, others);
}

const isEcho = (outcome: Outcome): boolean => isBrokenPipe(outcome) || outcome.signalName === 'SIGTERM';

/** Shells tell the death of what they ran by 128 and the number of the signal. */
const isBrokenPipe = (outcome: Outcome): boolean =>
  outcome.signalName === 'SIGPIPE' || outcome.exitCode === 141 || /broken pipe/i.test(outcome.stderrTail);
