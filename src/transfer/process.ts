/**
 * Starts child processes. No other module does.
 *
 * There are two kinds. A *stage* runs for long: its ends are file descriptors of the caller, and its outcome is awaited
 * separately. A *tool* is short, and its output is collected. Both are started from an argument vector, never through a
 * shell. Each runs in its own process group, so that Ctrl+C in a terminal reaches only this process, and stopping one
 * also stops its children. Their environment is described in `child-environment.ts`.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { asError, type SnapError } from '../errors.ts';
import { seconds, sleep, startTimer } from '../lib/clock.ts';
import { cleanupError } from '../lib/disposal.ts';
import { ownEnvironment, toolEnvironment } from './child-environment.ts';
import { cannotStart, type Outcome } from './outcome.ts';

export interface RunningProcess {
  readonly tool: string;
  readonly pid: number | undefined;
  /** Never rejects. It settles within seconds after `stop`, even if the kernel does not let the process end. */
  readonly outcome: Promise<Outcome>;
  /**
   * Ends the process and its children: with SIGTERM first, with SIGKILL after a grace period. Settles once it has
   * ended.
   * @throws SnapError `CLEANUP_FAILED` if it does not end, for example because it is in uninterruptible sleep.
   */
  stop(): Promise<void>;
}

export interface StageOptions {
  /**
   * File descriptors to pass as 0, 1, and 3 and up; `null` is /dev/null. Standard error always goes to this process.
   */
  stdin: number | null;
  stdout: number | null;
  others?: readonly number[];
  onStderrLine?: (line: string) => void;
  /** Whether the process is one of our own that calls AWS and therefore needs the whole environment. */
  callsAws?: boolean;
}

const MAX_STDERR_TAIL = 4096;
const STOP_GRACE = seconds(5);

/** A killed process may have to finish reading or writing first. */
const KILL_TIMEOUT = seconds(30);

const live = new Set<ChildProcess>();

/** Kills all running children without waiting for them. Used when the program exits immediately. */
export function killLiveProcesses(): void {
  for (const child of live) killGroup(child, 'SIGKILL');
}

/** Starts a stage. If it cannot be started, its outcome says so. */
export function startStage(argv: readonly string[], options: StageOptions): RunningProcess {
  const [tool = ''] = argv;
  const child = tryToStart(argv, {
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'ignore', 'pipe', ...(options.others ?? [])],
    env: options.callsAws ? ownEnvironment(process.env) : environmentOfTools(),
  });
  return child instanceof Error ? neverStarted(tool, child) : watch(tool, child, options.onStderrLine);
}

export interface RunningTool extends RunningProcess {
  /** Ends of pipes; `null` if the process could not be started. */
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
}

/** @throws SnapError `TOOL_MISSING` or `STAGE_FAILED` if the system refuses to start it at once. */
export function startTool(argv: readonly string[], env: Record<string, string>): RunningTool {
  const [tool = ''] = argv;
  const child = tryToStart(argv, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...environmentOfTools(), ...env } });
  if (child instanceof Error) throw cannotStart(tool, child);
  return { ...watch(tool, child), stdin: child.stdin, stdout: child.stdout };
}

/** `spawn` reports some failures by an event and throws others, such as too many arguments or too little memory. */
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
    detach(child);
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
  const escalation = escalate(child, giveUp, isOver.signal).catch(() => {});
  const { survivor } = await outcome;
  isOver.abort();
  await escalation;
  if (survivor !== null) throw survivorError(child);
}

/** @throws the reason of the signal when the process has ended. */
async function escalate(child: ChildProcess, giveUp: () => void, signal: AbortSignal): Promise<void> {
  await sleep(STOP_GRACE, signal);
  killAndClose(child);
  await sleep(KILL_TIMEOUT, signal);
  giveUp();
}

function survivorError({ pid, spawnargs }: ChildProcess): SnapError {
  const hint = `find out what it waits for: ps -o pid,stat,wchan:32,args -p ${pid}; if it does not end, restart the machine`;
  const reason = new Error('it was killed but is still running, probably because a device does not respond');
  return cleanupError(`process ${pid} (${spawnargs.join(' ').slice(0, MAX_COMMAND_LENGTH)})`, hint, reason);
}

/** Maximum characters of a command line in a message. */
const MAX_COMMAND_LENGTH = 200;

/** Stops a process without waiting. The caller learns the result from its outcome. */
export const requestStop = (running: RunningProcess): void => void running.stop().catch(() => {});

/** Waits for a process that should end soon, and stops it if it takes longer. */
export async function outcomeWithin(running: RunningProcess, milliseconds: number): Promise<Outcome> {
  using _deadline = startTimer(milliseconds, () => requestStop(running));
  return await running.outcome;
}

/**
 * A child of the process may keep its output open forever, so the streams are destroyed as soon as the process exits.
 */
function killAndClose(child: ChildProcess): void {
  if (hasEnded(child)) destroyStreams(child);
  else {
    child.once('exit', () => destroyStreams(child));
    killGroup(child, 'SIGKILL');
  }
}

/** Lets this process exit although the child is still running. */
function detach(child: ChildProcess): void {
  destroyStreams(child);
  child.unref();
}

function destroyStreams({ stdin, stdout, stderr }: ChildProcess): void {
  for (const stream of [stdin, stdout, stderr]) stream?.destroy();
}

/**
 * Signals the process group, which a negative pid selects. Once the first process of the group has ended, its id may be
 * reused, so no signal is sent. A process that has just ended, or that has the rights of another user, ends by itself.
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

/** Keeps the end of a child's standard error and passes whole lines on. */
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
    this.#tail = (this.#tail + text).slice(-MAX_STDERR_TAIL);
    if (!this.#onLine) return;
    const lines = (this.#line + text).split('\n');
    this.#line = (lines.pop() ?? '').slice(-MAX_STDERR_TAIL);
    for (const line of lines) this.#onLine(line);
  }
}

/** The environment of tools that this process starts. */
export const environmentOfTools = (): NodeJS.ProcessEnv => toolEnvironment(process.env);
