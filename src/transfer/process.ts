/**
 * Child processes: the only module that starts any.
 *
 * A child has one of two shapes. A *stage* is long-lived, its ends are file descriptors that the caller opened, and
 * its outcome is awaited separately. A *tool* is short, and what it prints is collected. Both are started from an
 * argument vector, never through a shell, in a process group of their own, so that a terminal's Ctrl+C reaches us
 * alone and stopping one stops what it started too. What they find in their environment: `child-environment.ts`.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';
import { asError, SnapError } from '../errors.ts';
import { seconds, sleep, watchdog } from '../lib/clock.ts';
import { leftBehind } from '../lib/disposal.ts';
import { ownEnvironment, toolEnvironment } from './child-environment.ts';

export interface Outcome {
  /** `null` when it did not exit by itself. */
  exitCode: number | null;
  signalName: NodeJS.Signals | null;
  /** Why it could not be started at all. */
  spawnError: Error | null;
  /** The process that was killed and did not end in time; `null` for all others. */
  survivor: number | null;
  /** The last lines of standard error, at most 4 KiB. */
  stderrTail: string;
}

export interface RunningProcess {
  readonly tool: string;
  readonly pid: number | undefined;
  /** Never rejects. Settles within seconds once the process is being stopped, even if the kernel does not let it end. */
  readonly outcome: Promise<Outcome>;
  /**
   * Ends it and whatever it started: asks first, insists after a grace period. Settles once it is gone.
   * @throws SnapError `CLEANUP_FAILED` where it does not end: a process in uninterruptible sleep hears no signal.
   */
  stop(): Promise<void>;
}

export interface StageOptions {
  /** File descriptors for 0, 1 and from 3 on; `null` is /dev/null. Standard error is always ours. */
  stdin: number | null;
  stdout: number | null;
  others?: readonly number[];
  onStderrLine?: (line: string) => void;
  /** Whether it is a program of ours that calls AWS, and needs what this process has for that. */
  callsAws?: boolean;
}

const KEPT_STDERR = 4096;
const GRACE = seconds(5);

/** The kernel may have to finish reading or writing first. */
const DIES_WITHIN = seconds(30);

const live = new Set<ChildProcess>();

/** Kills what is still running, without waiting: for a run that leaves at once. */
export function killLiveProcesses(): void {
  for (const child of live) killGroup(child, 'SIGKILL');
}

/** That it cannot be started is its outcome, like everything else that becomes of it. */
export function startStage(argv: readonly string[], options: StageOptions): RunningProcess {
  const [tool = ''] = argv;
  const child = tryToStart(argv, {
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'ignore', 'pipe', ...(options.others ?? [])],
    env: options.callsAws ? ownEnvironment(process.env) : environmentOfTools(),
  });
  return child instanceof Error ? neverStarted(tool, child) : watch(tool, child, options.onStderrLine);
}

/** Some refusals are told by an event, and others (too many arguments, no memory) are thrown. */
function tryToStart(argv: readonly string[], options: SpawnOptions): ChildProcess | Error {
  const [tool = '', ...rest] = argv;
  try {
    return spawn(tool, rest, { ...options, detached: true });
  } catch (error) {
    return asError(error);
  }
}

const NO_OUTCOME: Outcome = { exitCode: null, signalName: null, spawnError: null, survivor: null, stderrTail: '' };

const neverStarted = (tool: string, spawnError: Error): RunningProcess => ({
  tool,
  pid: undefined,
  outcome: Promise.resolve({ ...NO_OUTCOME, spawnError }),
  stop: async () => {},
});

function watch(tool: string, child: ChildProcess, onStderrLine?: (line: string) => void): RunningProcess {
  const stderr = new StderrTail(onStderrLine);
  child.stderr?.on('data', (chunk: Buffer) => stderr.add(chunk));
  const { promise: outcome, resolve } = Promise.withResolvers<Outcome>();
  let spawnError: Error | null = null;
  child.on('error', (error) => {
    spawnError = error;
    if (child.pid === undefined) resolve({ ...NO_OUTCOME, spawnError });
  });
  child.on('close', (exitCode, signalName) => {
    const code = spawnError ? null : exitCode;
    resolve({ ...NO_OUTCOME, exitCode: code, signalName, spawnError, stderrTail: stderr.end() });
  });
  const giveUp = () => {
    resolve({ ...NO_OUTCOME, survivor: child.pid ?? null, stderrTail: stderr.end() });
    letGo(child);
  };
  const stop = () => stopGroup(child, outcome, giveUp);
  const running: RunningProcess = { tool, pid: child.pid, outcome, stop };
  live.add(child);
  void outcome.then(() => live.delete(child));
  return running;
}

async function stopGroup(child: ChildProcess, outcome: Promise<Outcome>, giveUp: () => void): Promise<void> {
  const isOver = new AbortController();
  killGroup(child, 'SIGTERM');
  killGroup(child, 'SIGCONT');
  const insisting = insist(child, giveUp, isOver.signal).catch(() => {});
  const { survivor } = await outcome;
  isOver.abort();
  await insisting;
  if (survivor !== null) throw leftRunning(child);
}

/** @throws the signal's reason, when the process has ended. */
async function insist(child: ChildProcess, giveUp: () => void, signal: AbortSignal): Promise<void> {
  await sleep(GRACE, signal);
  end(child);
  await sleep(DIES_WITHIN, signal);
  giveUp();
}

function leftRunning({ pid, spawnargs }: ChildProcess): SnapError {
  const hint = `see what it waits for: ps -o pid,stat,wchan:32,args -p ${pid}; if it stays, restart the machine`;
  const reason = new Error('it was killed and does not end, probably because a device does not answer');
  return leftBehind(`process ${pid} (${spawnargs.join(' ').slice(0, LONGEST_COMMAND)})`, hint, reason);
}

/** Characters of a command that a message shows. */
const LONGEST_COMMAND = 200;

/** For callers who learn from the outcome what became of it. */
export const requestStop = (running: RunningProcess): void => void running.stop().catch(() => {});

/** The outcome of a process that should take moments; it is stopped when it takes longer. */
export async function outcomeWithin(running: RunningProcess, milliseconds: number): Promise<Outcome> {
  using _deadline = watchdog(milliseconds, () => requestStop(running));
  return await running.outcome;
}

/** What a process has started and left behind may hold its output open for ever: nobody waits for the end of that. */
function end(child: ChildProcess): void {
  if (hasEnded(child)) destroyStreams(child);
  else {
    child.once('exit', () => destroyStreams(child));
    killGroup(child, 'SIGKILL');
  }
}

/** This process can end before it. */
function letGo(child: ChildProcess): void {
  destroyStreams(child);
  child.unref();
}

function destroyStreams({ stdin, stdout, stderr }: ChildProcess): void {
  for (const stream of [stdin, stdout, stderr]) stream?.destroy();
}

/**
 * A negative pid names the group. Once its first process has ended, the number may be somebody else's, and nothing is sent
 * any more. What is gone meanwhile, or has another user's rights, ends by itself.
 */
function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || hasEnded(child)) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

/** Keeps the end of what a child says, and hands on whole lines. */
class StderrTail {
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: ((line: string) => void) | undefined;
  #tail = '';
  #line = '';

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine;
  }

  add(chunk: Buffer): void {
    this.#take(this.#decoder.write(chunk));
  }

  end(): string {
    this.#take(this.#decoder.end());
    if (this.#line !== '') this.#onLine?.(this.#line);
    return this.#tail;
  }

  #take(text: string): void {
    this.#tail = (this.#tail + text).slice(-KEPT_STDERR);
    if (!this.#onLine) return;
    const lines = (this.#line + text).split('\n');
    this.#line = (lines.pop() ?? '').slice(-KEPT_STDERR);
    for (const line of lines) this.#onLine(line);
  }
}

export interface ToolOptions {
  signal?: AbortSignal;
  /** Milliseconds; a tool that takes longer is stopped. */
  within?: number;
  /** Exit codes that are answers rather than failures; `[0]` by default. */
  allowedExitCodes?: readonly number[];
  /** For its standard input. */
  input?: Buffer;
  /** What it finds otherwise in its environment. */
  env?: Record<string, string>;
}

export interface ToolResult {
  exitCode: number;
  stdout: string;
  /** The bytes behind `stdout`, for what is not text. */
  stdoutBytes: Buffer;
  stderr: string;
}

const MAX_OUTPUT = 64 * 1024 * 1024;

/**
 * Runs a short tool to its end.
 * @throws ToolError when it exits with a code that is not allowed, is killed, or takes too long;
 *   SnapError `TOOL_MISSING` when there is no such program; the signal's reason when cancelled.
 */
export async function runTool(argv: readonly string[], options: ToolOptions = {}): Promise<ToolResult> {
  options.signal?.throwIfAborted();
  const [tool = ''] = argv;
  const env = { ...environmentOfTools(), ...options.env };
  const child = tryToStart(argv, { stdio: ['pipe', 'pipe', 'pipe'], env });
  if (child instanceof Error) throw cannotStart(tool, child);
  const running = watch(tool, child);
  const deadline = AbortSignal.timeout(options.within ?? seconds(120));
  const stop = AbortSignal.any(options.signal ? [options.signal, deadline] : [deadline]);
  const onStop = () => requestStop(running);
  stop.addEventListener('abort', onStop, { once: true });
  try {
    const stdout = collect(child, running);
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input);
    const outcome = await running.outcome;
    if (options.signal?.aborted) throw await abortReason(running, options.signal);
    return judge(argv, outcome, await stdout, options.allowedExitCodes ?? [0], deadline.aborted);
  } finally {
    stop.removeEventListener('abort', onStop);
  }
}

/** @returns the signal's reason; with the error of the process where that is left behind. */
async function abortReason(running: RunningProcess, signal: AbortSignal): Promise<unknown> {
  try {
    await running.stop();
    return signal.reason;
  } catch (left) {
    return new SuppressedError(left, signal.reason);
  }
}

async function collect(child: ChildProcess, running: RunningProcess): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > MAX_OUTPUT) requestStop(running);
    else chunks.push(chunk);
  });
  await running.outcome;
  return Buffer.concat(chunks);
}

function judge(
  argv: readonly string[],
  outcome: Outcome,
  stdoutBytes: Buffer,
  allowed: readonly number[],
  late: boolean,
): ToolResult {
  const [tool = ''] = argv;
  if (outcome.spawnError) throw cannotStart(tool, outcome.spawnError);
  if (outcome.exitCode === null || !allowed.includes(outcome.exitCode)) throw new ToolError(argv, outcome, late);
  return {
    exitCode: outcome.exitCode,
    stdout: stdoutBytes.toString('utf8'),
    stdoutBytes,
    stderr: outcome.stderrTail,
  };
}

/** A tool that did not do its work; whoever ran it knows what that means and says it in a `SnapError`. */
export class ToolError extends Error {
  readonly tool: string;
  readonly exitCode: number | null;
  readonly stderr: string;

  constructor(argv: readonly string[], outcome: Outcome, late: boolean) {
    const [tool = ''] = argv;
    super(
      `${tool} ${late ? `took too long${survivorOf(outcome)}` : describeOutcome(outcome)}${lastLine(outcome.stderrTail)}`,
    );
    this.name = 'ToolError';
    this.tool = tool;
    this.exitCode = outcome.exitCode;
    this.stderr = outcome.stderrTail;
  }
}

const survivorOf = ({ survivor }: Outcome): string =>
  survivor === null ? '' : `, and process ${survivor} does not end though it was killed`;

/** `exited 2`, `was killed by SIGKILL` */
export function describeOutcome(outcome: Outcome): string {
  if (outcome.spawnError) return `could not be started: ${outcome.spawnError.message}`;
  if (outcome.survivor !== null) return `did not end in time${survivorOf(outcome)}`;
  return outcome.signalName ? `was killed by ${outcome.signalName}` : `exited ${outcome.exitCode}`;
}

/** What tar says besides, or after the last thing that matters. */
const BESIDES = /^Total bytes (written|read): |^tar: Exiting with failure status|: socket ignored$/;

/** ` (its last words)`, or nothing. */
export function lastLine(stderr: string): string {
  const lines = stderr.split(/[\r\n]/).map((line) => line.trim());
  const line = lines.findLast((text) => text !== '' && !BESIDES.test(text)) ?? '';
  return line === '' ? '' : ` (${line.slice(0, 300)})`;
}

/** What stock tools find in their environment. */
export const environmentOfTools = (): NodeJS.ProcessEnv => toolEnvironment(process.env);

export function cannotStart(tool: string, error: unknown): SnapError {
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  if (!missing) {
    return new SnapError('STAGE_FAILED', `${tool} could not be started: ${asError(error).message}`, {
      hint: 'look at the limits of this machine for processes, memory and open files, then run the same command again',
      cause: error,
    });
  }
  const hint = `install ${tool} and run the command again`;
  return new SnapError('TOOL_MISSING', `${tool} is not installed`, { hint, cause: error });
}
