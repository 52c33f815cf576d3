/** Where a run is shown. */
import type { ProgressTask, SnapEvent } from '../../events.ts';

export interface Screen extends Disposable {
  notify(event: SnapEvent): void;
  track(task: ProgressTask): Disposable;
}
