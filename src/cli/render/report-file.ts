/** The end of a run as a JSON file. What a run that was killed leaves there says that it is unfinished. */
import { renameSync, writeFileSync } from 'node:fs';
import { asError, SnapError } from '../../errors.ts';
import type { RunReport } from '../../operations/run-report.ts';

/** @throws SnapError `USAGE` when the file cannot be written. */
export function writeReport(path: string, report: RunReport): void {
  const unfinished = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(unfinished, `${JSON.stringify(report, null, 2)}\n`);
    renameSync(unfinished, path);
  } catch (cause) {
    throw new SnapError('USAGE', `cannot write the report ${path}: ${asError(cause).message}`, {
      hint: 'give --report a file in a directory that exists and can be written to',
      cause,
    });
  }
}
