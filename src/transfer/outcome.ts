/** How child processes end, and how messages describe it. */
import { asError, SnapError } from '../errors.ts';

export interface Outcome {
  /** `null` if the process was killed or never started. */
  exitCode: number | null;
  signalName: NodeJS.Signals | null;
  /** The reason if the process could not be started. */
  spawnError: Error | null;
  /** The id of a process that was killed but is still running; otherwise `null`. */
  survivor: number | null;
  /** The end of its standard error, at most 4 KiB. */
  stderrTail: string;
}

export const survivorNote = ({ survivor }: Outcome): string =>
  survivor === null ? '' : `, and process ${survivor} is still running although it was killed`;

/** `exited 2`, `was killed by SIGKILL` */
export function describeOutcome(outcome: Outcome): string {
  if (outcome.spawnError) return `could not be started: ${outcome.spawnError.message}`;
  if (outcome.survivor !== null) return `did not end in time${survivorNote(outcome)}`;
  return outcome.signalName ? `was killed by ${outcome.signalName}` : `exited ${outcome.exitCode}`;
}

/** Lines of tar that do not explain a failure, and status lines of gpg, which are for programs. */
const IRRELEVANT = /^Total bytes (written|read): |^tar: Exiting with failure status|: socket ignored$|^\[GNUPG:\] /;

/** Returns the last relevant line of standard error, shortened; empty if there is none. */
export function lastRelevantLine(stderr: string): string {
  const lines = stderr.split(/[\r\n]/).map((line) => line.trim());
  return lines.findLast((text) => text !== '' && !IRRELEVANT.test(text))?.slice(0, 300) ?? '';
}

/** Returns the last relevant line in parentheses, with a leading space; empty if there is none. */
export function lastLine(stderr: string): string {
  const words = lastRelevantLine(stderr);
  return words === '' ? '' : ` (${words})`;
}

export function cannotStart(tool: string, error: unknown): SnapError {
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  if (!missing) {
    return new SnapError('STAGE_FAILED', `${tool} could not be started: ${asError(error).message}`, {
      hint: 'check the limits of this machine for processes, memory and open files, then run the same command again',
      cause: error,
    });
  }
  const hint = `install ${tool} and run the command again`;
  return new SnapError('TOOL_MISSING', `${tool} is not installed`, { hint, cause: error });
}
