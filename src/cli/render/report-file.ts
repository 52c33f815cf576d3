/** The end of a run as a JSON file. What a run that was killed leaves there says that it is unfinished. */
import type { DrillReport } from '../../events.ts';
import type { RunReport } from '../../operations/shared/run-report.ts';
import { writeOutputFile } from './output-file.ts';

/** @throws SnapError `USAGE` where no file can be; `OUTPUT` where its disk is full or broken. */
export const writeReport = (path: string, report: RunReport | Partial<DrillReport>): void =>
  writeOutputFile('--report', path, `${JSON.stringify(report, null, 2)}\n`);
