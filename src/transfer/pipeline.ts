/**
 * A chain of child processes connected by pipes. This process only sees the output of the last one.
 *
 * The end of a byte stream does not show whether it is complete: when its producer dies, a compressor ends its output
 * as usual. A pipeline therefore has a result besides its bytes: `finished` resolves only if every stage exits with 0.
 */
import { SnapError } from '../errors.ts';
import { seconds, sleep } from '../lib/clock.ts';
import { cannotStart, describeOutcome, lastLine, lastRelevantLine, type Outcome } from './outcome.ts';
import { closeAll, makePipes, type Pipe } from './pipes.ts';
import { type RunningProcess, requestStop, startStage } from './process.ts';

export interface Stage {
  /** The name for error messages: `tar`, `lz4`, `gpg`. */
  name: string;
  argv: readonly string[];
  /** Exit codes that do not count as failures; by default `[0]`. */
  allowedExitCodes?: readonly number[];
  /** File descriptors to pass as 3 and up. The caller closes them. */
  others?: readonly number[];
  onStderrLine?: (line: string) => void;
}

export interface StageReport {
  name: string;
  exitCode: number;
  stderrTail: string;
}

/** A stage ran and failed by itself. */
export class StageError extends SnapError {
  readonly stage: string;
  readonly outcome: Outcome;
  /** The last relevant line that it wrote to standard error. */
  readonly lastOutput: string;
  /** The message without the other stages. */
  readonly reason: string;

  /** @param others names of the other stages. */
  constructor(stage: string, outcome: Outcome, others: readonly string[]) {
    const reason = `${stage} ${describeOutcome(outcome)}${lastLine(outcome.stderrTail)}`;
    const stopped = others.length === 0 ? '' : `; ${others.join(' and ')} stopped`;
    super('STAGE_FAILED', `${reason}${stopped}`, {
      hint: 'nothing was stored; resolve the cause that the stage reports, then run the same command again',
    });
    this.stage = stage;
    this.outcome = outcome;
    this.lastOutput = lastRelevantLine(outcome.stderrTail);
    this.reason = reason;
  }
}

export interface RunningPipeline extends AsyncDisposable {
  /** The read end of the last pipe. The caller closes it. */
  readonly output: number;
  /**
   * Resolves to the reports of all stages, in order, if each of them exits with an allowed code. Otherwise it rejects
   * with a `StageError` for the stage that caused the failure, or with the reason of the signal. In all cases it
   * settles only after every stage has ended.
   */
  readonly finished: Promise<StageReport[]>;
  /** Process ids by stage. Progress display reads their I/O counters. */
  readonly pids: readonly (number | undefined)[];
}

export interface PipelineOptions {
  signal: AbortSignal;
  /** File descriptor that the first stage reads from. The caller closes it. */
  input?: number;
}

/**
 * Starts the stages.
 * @throws SnapError `TOOL_MISSING` if the pipes cannot be made. Then no process is left running.
 */
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

/** Waits for all stages, even if one of them cannot be stopped. */
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

/** Milliseconds that a stage may take to end by itself after it has closed its input. */
const BROKEN_PIPE_GRACE = seconds(3);

interface Failure {
  index: number;
  outcome: Outcome;
}

/** The first failure or the signal stops all other stages. The promise settles only after all of them have ended. */
async function superviseStages(
  stages: readonly Stage[],
  running: readonly RunningProcess[],
  signal: AbortSignal,
): Promise<StageReport[]> {
  const failures: Failure[] = [];
  const ended = new AbortController();
  const requestAll = () => running.forEach(requestStop);
  signal.addEventListener('abort', requestAll, { once: true });
  // It may have been aborted while the pipes were made.
  if (signal.aborted) requestAll();
  const outcomes = await Promise.all(
    running.map(async ({ outcome }, index) => {
      const settled = await outcome;
      const allowed = stages[index]?.allowedExitCodes ?? [0];
      if (settled.exitCode === null || !allowed.includes(settled.exitCode)) {
        failures.push({ index, outcome: settled });
        // The reader of this pipe is about to end, and its own error is the one to report.
        if (isBrokenPipe(settled)) void sleep(BROKEN_PIPE_GRACE, ended.signal).then(requestAll, () => {});
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
 * Finds the stage that caused the failure. A stage fails with SIGPIPE or "Broken pipe" because its reader died, and
 * with SIGTERM because we stopped it, so these are only consequences. Of the other failures, the first stage in the
 * chain is the cause: the stages after it failed because their input was incomplete, even if they exited earlier.
 */
function stageFailure(stages: readonly Stage[], failures: readonly Failure[]): SnapError {
  const inOrder = failures.toSorted((one, other) => one.index - other.index);
  const cause = inOrder.find(({ outcome }) => !isConsequence(outcome)) ?? failures[0];
  if (!cause) throw new SnapError('BUG', 'a pipeline failed without a failure');
  const stage = stages[cause.index];
  if (cause.outcome.spawnError) return cannotStart(stage?.argv[0] ?? '', cause.outcome.spawnError);
  const others = stages.filter((other) => other !== stage).map((other) => other.name);
  return new StageError(stage?.name ?? '', cause.outcome, others);
}

const isConsequence = (outcome: Outcome): boolean => isBrokenPipe(outcome) || outcome.signalName === 'SIGTERM';

/** A shell reports a child that was killed by a signal as 128 plus the number of the signal. */
const isBrokenPipe = (outcome: Outcome): boolean =>
  outcome.signalName === 'SIGPIPE' || outcome.exitCode === 141 || /broken pipe/i.test(outcome.stderrTail);
