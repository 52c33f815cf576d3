/** Runs short programs and collects their output. */
import { seconds } from '../lib/clock.ts';
import { cannotStart, describeOutcome, lastLine, type Outcome, survivorNote } from './outcome.ts';
import { type RunningTool, requestStop, startTool } from './process.ts';

export interface ToolOptions {
  signal?: AbortSignal;
  /** Milliseconds after which the tool is stopped; by default 120 s. */
  within?: number;
  /** Exit codes that do not count as failures; by default `[0]`. */
  allowedExitCodes?: readonly number[];
  /** The standard input of the tool. */
  input?: Buffer;
  /** Additional environment variables. */
  env?: Record<string, string>;
}

export interface ToolResult {
  exitCode: number;
  stdout: string;
  /** The output as bytes, for output that is not text. */
  stdoutBytes: Buffer;
  stderr: string;
}

const MAX_OUTPUT = 64 * 1024 * 1024;

/**
 * Runs a short tool to its end.
 * @throws ToolError if it exits with a code that is not allowed, is killed, or times out; SnapError `TOOL_MISSING` or
 * `STAGE_FAILED` if it cannot be started; the reason of the signal.
 */
export async function runTool(argv: readonly string[], options: ToolOptions = {}): Promise<ToolResult> {
  options.signal?.throwIfAborted();
  const running = startTool(argv, options.env ?? {});
  const deadline = AbortSignal.timeout(options.within ?? seconds(120));
  const stop = AbortSignal.any(options.signal ? [options.signal, deadline] : [deadline]);
  const onStop = () => requestStop(running);
  stop.addEventListener('abort', onStop, { once: true });
  try {
    const stdout = collect(running);
    running.stdin?.on('error', () => {});
    running.stdin?.end(options.input);
    const outcome = await running.outcome;
    if (options.signal?.aborted) throw await abortReason(running, options.signal);
    return toResult(argv, outcome, await stdout, options.allowedExitCodes ?? [0], deadline.aborted);
  } finally {
    stop.removeEventListener('abort', onStop);
  }
}

/** @returns the reason of the signal, together with an error if the process is still running. */
async function abortReason(running: RunningTool, signal: AbortSignal): Promise<unknown> {
  try {
    await running.stop();
    return signal.reason;
  } catch (left) {
    return new SuppressedError(left, signal.reason);
  }
}

async function collect(running: RunningTool): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  running.stdout?.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > MAX_OUTPUT) requestStop(running);
    else chunks.push(chunk);
  });
  await running.outcome;
  return Buffer.concat(chunks);
}

function toResult(
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

/** The failure of a tool. The caller knows its meaning and translates it into a `SnapError`. */
export class ToolError extends Error {
  readonly tool: string;
  readonly exitCode: number | null;
  readonly stderr: string;

  constructor(argv: readonly string[], outcome: Outcome, late: boolean) {
    const [tool = ''] = argv;
    super(
      `${tool} ${late ? `timed out${survivorNote(outcome)}` : describeOutcome(outcome)}${lastLine(outcome.stderrTail)}`,
    );
    this.name = 'ToolError';
    this.tool = tool;
    this.exitCode = outcome.exitCode;
    this.stderr = outcome.stderrTail;
  }
}
