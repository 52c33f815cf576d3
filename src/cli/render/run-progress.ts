/** The progress of a whole run: how many of its snapshots are done, and how long the others will take. */
import type { ProgressTask, SnapEvent } from '../../events.ts';
import { formatDuration } from '../../lib/units.ts';
import { shareOf } from './progress-text.ts';

export class RunProgress {
  #total = 0;
  readonly #ended = new Set<string>();
  readonly #running = new Set<ProgressTask>();

  hear(event: SnapEvent): void {
    if (event.code === 'run.started') this.#total = event.snapshots.length;
    if (event.code === 'snapshot.finished' || event.code === 'snapshot.skipped') this.#ended.add(event.snapshot);
  }

  add(task: ProgressTask): Disposable {
    this.#running.add(task);
    return { [Symbol.dispose]: () => this.#running.delete(task) };
  }

  /**
   * `all: 3 of 12 snapshots done, about 1 h 20 min left`. The time supposes that snapshots take equally long, so it is
   * not given before one of several has ended. Empty for a run that has no snapshots, which commands such as `analyze`
   * have not.
   */
  line(elapsedSeconds: number, width: number): string {
    if (this.#total === 0) return '';
    const noun = this.#total === 1 ? 'snapshot' : 'snapshots';
    const head = `all: ${this.#ended.size} of ${this.#total} ${noun} done`;
    const left = this.#secondsLeft(elapsedSeconds);
    const whole = left === null ? head : `${head}, about ${formatDuration(left)} left`;
    return whole.length <= width ? whole : head.slice(0, Math.max(0, width));
  }

  #secondsLeft(elapsedSeconds: number): number | null {
    if (this.#total > 1 && this.#ended.size === 0) return null;
    const running = [...this.#running].reduce((sum, task) => sum + shareOf(task), 0);
    const done = Math.min(this.#ended.size + running, this.#total) / this.#total;
    return done > 0 ? (elapsedSeconds * (1 - done)) / done : null;
  }
}
