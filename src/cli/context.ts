/** What every command gets from the outside. */
import type { ExitCode } from '../errors.ts';

export interface CliContext {
  process: NodeJS.Process;
  signal: AbortSignal;
  /** Called by a command that ended well; errors carry their own code. */
  finish(code: ExitCode): void;
  /** Prints what is still held; set by the command that holds things. */
  onSecondSignal: (() => void) | null;
}
