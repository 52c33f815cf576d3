/** The report of a run as a JSON file. A run that was killed leaves a report that says it is unfinished. */
import type { DrillReport } from '../../events.ts';
import type { RunReport } from '../../operations/shared/run-report.ts';
import { writeOutputFile } from './output-file.ts';

/** @throws SnapError `USAGE` if the file cannot be created; `OUTPUT` if its disk is full or broken. */
export const writeReport = (path: string, report: RunReport | Partial<DrillReport>): void =>
  writeOutputFile('--report', path, `${JSON.stringify(report, null, 2)}\n`);
