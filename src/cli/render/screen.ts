/** The output of a run, as text or as JSON. */
import type { ProgressTask, SnapEvent } from '../../events.ts';
import type { RunReport } from '../../operations/shared/run-report.ts';

export interface Screen extends Disposable {
  notify(event: SnapEvent): void;
  /** Called once, at the end of a run. */
  report(report: RunReport): void;
  track(task: ProgressTask): Disposable;
}
