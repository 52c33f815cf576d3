/** How fast blocks are asked for: as fast as is allowed, and slower when that turns out to be too fast. */
import { monotonic, sleep } from '../lib/clock.ts';

/** What is left of the rate after a refusal, and what it grows by in a second without one. */
const BACK_OFF = 0.7;
const RECOVERY = 1.05;

const LEAST = 5;

/** Refusals within a second are those of one burst. */
const BURST = 1000;

export class Governor {
  readonly #most: number;
  #rate: number;
  #changedAt = monotonic();
  /** When the next request may be sent. */
  #next = monotonic();

  /** @param most requests a second. */
  constructor(most: number) {
    this.#most = most;
    this.#rate = most;
  }

  /** Requests a second at this moment. */
  get rate(): number {
    return this.#rate;
  }

  /** Waits for one's turn. */
  async turn(signal: AbortSignal): Promise<void> {
    const now = monotonic();
    this.#recover(now);
    const at = Math.max(now, this.#next);
    this.#next = at + 1000 / this.#rate;
    if (at - now >= 1) await sleep(at - now, signal);
  }

  /** To be told of each refusal. */
  refused(): void {
    const now = monotonic();
    if (this.#rate < this.#most && now - this.#changedAt < BURST) return;
    this.#rate = Math.max(LEAST, this.#rate * BACK_OFF);
    this.#changedAt = now;
  }

  #recover(now: number): void {
    const seconds = Math.floor((now - this.#changedAt) / 1000);
    if (this.#rate >= this.#most || seconds < 1) return;
    this.#rate = Math.min(this.#most, this.#rate * RECOVERY ** seconds);
    this.#changedAt = now;
  }
}
