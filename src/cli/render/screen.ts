/** Where a run is shown. */
import type { ProgressTask, SnapEvent } from '../../events.ts';
import type { RunReport } from '../../operations/shared/run-report.ts';

export interface Screen extends Disposable {
  notify(event: SnapEvent): void;
  /** The end of a run, told once. */
  report(report: RunReport): void;
  track(task: ProgressTask): Disposable;
}
