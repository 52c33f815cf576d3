/** The environment in which a command runs. */
import type { ExitCode } from '../errors.ts';
import type { LostOutput } from './lost-output.ts';

export interface CliContext {
  process: NodeJS.Process;
  output: LostOutput;
  signal: AbortSignal;
  /** Sets the exit code of a command that returns normally. Errors carry their own exit code. */
  finish(code: ExitCode): void;
  /** Confirms the first signal on the screen; set by commands that open a screen. */
  onFirstSignal: ((name: NodeJS.Signals) => void) | null;
  /** Prints the resources that are left behind; set by commands that open a screen. */
  onSecondSignal: (() => void) | null;
}
