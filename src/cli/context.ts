/** What every command gets from the outside. */
import type { ExitCode } from '../errors.ts';
import type { LostOutput } from './lost-output.ts';

export interface CliContext {
  process: NodeJS.Process;
  output: LostOutput;
  signal: AbortSignal;
  /** Called by a command that ended well; errors carry their own code. */
  finish(code: ExitCode): void;
  /** Tells that the signal was heard; set by the command that shows something. */
  onFirstSignal: ((name: NodeJS.Signals) => void) | null;
  /** Prints what is still held; set by the command that holds things. */
  onSecondSignal: (() => void) | null;
}
