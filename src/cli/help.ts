/** Help text that several commands share. */
import { EXIT, type ExitCode } from '../errors.ts';

/** The general meaning of each exit code, for commands that do not describe it more precisely. */
const MEANINGS: Record<ExitCode, string> = {
  [EXIT.ok]: 'success',
  [EXIT.failed]: 'failed',
  [EXIT.usage]: 'invalid usage or input',
  [EXIT.someFailed]: 'some snapshots failed, the others are done',
  [EXIT.nothingToDo]: 'nothing to do, or not found',
  [EXIT.claimedElsewhere]: 'another run is working on the snapshot, or has taken over its claim',
  [EXIT.differs]: 'the archive is damaged, or differs from its snapshot',
  [EXIT.thawing]: 'objects are being thawed; run the same command again later',
  [EXIT.interrupted]: 'interrupted; everything that the run held was released, unless a second signal followed',
};

/** The exit codes that every command can end with. */
const COMMON = [EXIT.ok, EXIT.failed, EXIT.usage, EXIT.interrupted];

/**
 * The "Exit status" section of a help text.
 * @param others exit codes of the command besides 0, 1, 2 and 130.
 * @param exact meanings that replace the general ones.
 */
export function exitStatusHelp(others: readonly ExitCode[], exact: Partial<Record<ExitCode, string>> = {}): string {
  const codes = [...COMMON, ...others].sort((one, other) => one - other);
  const lines = codes.map((code) => `  ${String(code).padEnd(4)} ${exact[code] ?? MEANINGS[code]}`);
  return `\nExit status:\n${lines.join('\n')}\n`;
}

/** The meaning of 130 for commands that create nothing, so that an interruption has nothing to release. */
export const INTERRUPTED_ONLY = { [EXIT.interrupted]: 'interrupted' };

/** The meaning of 2 for commands that may need a gpg key. */
export const USAGE_OR_KEY = { [EXIT.usage]: 'invalid usage or input, or a gpg key that cannot be used' };

/** The exit codes of the program as a whole. */
export const EVERY_EXIT_STATUS = exitStatusHelp(
  [EXIT.someFailed, EXIT.nothingToDo, EXIT.claimedElsewhere, EXIT.differs, EXIT.thawing],
  { ...USAGE_OR_KEY, [EXIT.failed]: 'failed: nothing was completed, or something could not be released' },
);
