/** Passages that the help of several commands shares. */
import { EXIT, type ExitCode } from '../errors.ts';

/** What each exit code means, where a command says nothing more exact. */
const MEANINGS: Record<ExitCode, string> = {
  [EXIT.ok]: 'success',
  [EXIT.failed]: 'failed',
  [EXIT.usage]: 'invalid usage; nothing was changed',
  [EXIT.someFailed]: 'some snapshots failed, the others are done',
  [EXIT.nothingToDo]: 'nothing to do, or not found',
  [EXIT.claimedElsewhere]: 'another run holds the snapshot',
  [EXIT.differs]: 'the archive and the snapshot differ',
  [EXIT.thawing]: 'objects are being thawed; run the same command again later',
  [EXIT.interrupted]: 'interrupted; everything borrowed was released',
};

/** Every command can end with these. */
const COMMON = [EXIT.ok, EXIT.failed, EXIT.usage, EXIT.interrupted];

/**
 * The exit codes that a command can end with.
 * @param others those beside 0, 1, 2 and 130.
 * @param exact meanings that differ from the usual ones.
 */
export function exitStatusHelp(others: readonly ExitCode[], exact: Partial<Record<ExitCode, string>> = {}): string {
  const codes = [...COMMON, ...others].sort((one, other) => one - other);
  const lines = codes.map((code) => `  ${String(code).padEnd(4)} ${exact[code] ?? MEANINGS[code]}`);
  return `\nExit status:\n${lines.join('\n')}\n`;
}

/** Of the program as a whole. */
export const EVERY_EXIT_STATUS = exitStatusHelp([
  EXIT.someFailed,
  EXIT.nothingToDo,
  EXIT.claimedElsewhere,
  EXIT.differs,
  EXIT.thawing,
]);
