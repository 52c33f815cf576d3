/** What becomes of a child process, and how people are told. */
import { asError, SnapError } from '../errors.ts';

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

export const survivorOf = ({ survivor }: Outcome): string =>
  survivor === null ? '' : `, and process ${survivor} does not end though it was killed`;

/** `exited 2`, `was killed by SIGKILL` */
export function describeOutcome(outcome: Outcome): string {
  if (outcome.spawnError) return `could not be started: ${outcome.spawnError.message}`;
  if (outcome.survivor !== null) return `did not end in time${survivorOf(outcome)}`;
  return outcome.signalName ? `was killed by ${outcome.signalName}` : `exited ${outcome.exitCode}`;
}

/** What tar says besides, or after the last thing that matters. */
const BESIDES = /^Total bytes (written|read): |^tar: Exiting with failure status|: socket ignored$/;

/** The last line that matters of what a process said, shortened; empty where it said nothing. */
export function lastWords(stderr: string): string {
  const lines = stderr.split(/[\r\n]/).map((line) => line.trim());
  return lines.findLast((text) => text !== '' && !BESIDES.test(text))?.slice(0, 300) ?? '';
}

/** ` (its last words)`, or nothing. */
export function lastLine(stderr: string): string {
  const words = lastWords(stderr);
  return words === '' ? '' : ` (${words})`;
}

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
