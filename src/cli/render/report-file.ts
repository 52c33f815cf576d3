/** The end of a run as a JSON file. What a run that was killed leaves there says that it is unfinished. */
import { renameSync, writeFileSync } from 'node:fs';
import { asError, SnapError } from '../../errors.ts';
import type { DrillReport } from '../../events.ts';
import type { RunReport } from '../../operations/run-report.ts';

/** @throws SnapError `USAGE` when the file cannot be written. */
export const writeReport = (path: string, report: RunReport | Partial<DrillReport>): void =>
  writeWhole(path, `${JSON.stringify(report, null, 2)}\n`);

/** Nobody sees half of it. @throws SnapError `USAGE` when the file cannot be written. */
export function writeWhole(path: string, text: string): void {
  const unfinished = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(unfinished, text);
    renameSync(unfinished, path);
  } catch (cause) {
    throw new SnapError('USAGE', `cannot write the report ${path}: ${asError(cause).message}`, {
      hint: 'give a file in a directory that exists and can be written to',
      cause,
    });
  }
}
