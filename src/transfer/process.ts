/**
 * Child processes: the only module that starts any.
 *
 * A child has one of two shapes. A *stage* is long-lived, its ends are file descriptors that the caller opened, and
 * its outcome is awaited separately. A *tool* is short, and what it prints is collected. Both are started from an
 * argument vector, never through a shell, in a process group of their own, so that a terminal's Ctrl+C reaches us
 * alone and stopping one stops what it started too. What they find in their environment: `child-environment.ts`.
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

export interface RunningTool extends RunningProcess {
  /** Ends of pipes; `null` where it could not be started, which its outcome tells. */
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
}

/** @throws SnapError as `cannotStart` makes it, for what is refused at once. */
export function startTool(argv: readonly string[], env: Record<string, string>): RunningTool {
  const [tool = ''] = argv;
  const child = tryToStart(argv, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...environmentOfTools(), ...env } });
  if (child instanceof Error) throw cannotStart(tool, child);
  return { ...watch(tool, child), stdin: child.stdin, stdout: child.stdout };
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
  return cleanupError(`process ${pid} (${spawnargs.join(' ').slice(0, LONGEST_COMMAND)})`, hint, reason);
}

/** Characters of a command that a message shows. */
const LONGEST_COMMAND = 200;

/** For callers who learn from the outcome what became of it. */
export const requestStop = (running: RunningProcess): void => void running.stop().catch(() => {});

/** The outcome of a process that should take moments; it is stopped when it takes longer. */
export async function outcomeWithin(running: RunningProcess, milliseconds: number): Promise<Outcome> {
  using _deadline = startTimer(milliseconds, () => requestStop(running));
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

/** What stock tools find in their environment. */
export const environmentOfTools = (): NodeJS.ProcessEnv => toolEnvironment(process.env);
