/** The progress of a whole run: how many of its snapshots are done, and the estimated time for the others. */
import type { ProgressTask, SnapEvent } from '../../events.ts';
import { count, formatDuration } from '../../lib/units.ts';
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
   * For example `total: 3 of 12 snapshots done, about 1 h 20 min left`. The estimate assumes that all snapshots take the
   * same time, so a run of several snapshots shows it only after the first one has finished. Empty for commands without
   * snapshots, such as `analyze`.
   * @param width maximum length of the line in columns.
   */
  line(elapsedSeconds: number, width: number): string {
    if (this.#total === 0) return '';
    const head = `total: ${this.#ended.size} of ${count(this.#total, 'snapshot')} done`;
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
