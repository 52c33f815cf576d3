/** How fast blocks are asked for: as fast as is allowed, and slower when that turns out to be too fast. */
import { monotonic, sleep } from '../lib/clock.ts';

/** What is left of the rate after a refusal, and what it grows by in a second without one. */
const BACK_OFF = 0.7;
const RECOVERY = 1.05;

/** Requests a second that are left whatever is refused; a fourth of the rate where that is less. */
const LEAST = 5;

/** Refusals within a second are those of one burst. */
const BURST = 1000;

/** Of one snapshot: a limit that cannot be raised. Source: quota L-028ACFB9 of the EBS direct APIs. */
const MAX_PER_SNAPSHOT = 1000;

/** What refused a request: the limit of the one snapshot, or that of all work in the account and region. */
export type Limit = 'snapshot' | 'account';

/** The blocks of all snapshots of a run: each keeps to its own limit, and all together to that of the account. */
export class BlockRateLimiter {
  readonly #account: RateLimiter;
  readonly #snapshots = new Map<string, RateLimiter>();
  readonly #maxPerSnapshot: number;

  /** @param most blocks a second, of all snapshots together. @param maxPerSnapshot the same, of each. */
  constructor(most: number, maxPerSnapshot: number = MAX_PER_SNAPSHOT) {
    this.#account = new RateLimiter(most);
    this.#maxPerSnapshot = maxPerSnapshot;
  }

  /** Waits for one's turn. */
  async turn(snapshotId: string, signal: AbortSignal): Promise<void> {
    await this.#of(snapshotId).turn(signal);
    await this.#account.turn(signal);
  }

  /**
   * To be told of each refusal: one snapshot's limit slows that snapshot alone.
   * @returns blocks a second from now on; `null` where the refusal belongs to a burst that was answered already.
   */
  refused(snapshotId: string, limit: Limit): number | null {
    return limit === 'account' ? this.#account.refused() : this.#of(snapshotId).refused();
  }

  #of(snapshotId: string): RateLimiter {
    const found = this.#snapshots.get(snapshotId) ?? new RateLimiter(this.#maxPerSnapshot);
    this.#snapshots.set(snapshotId, found);
    return found;
  }
}

class RateLimiter {
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

  /** Waits for one's turn. */
  async turn(signal: AbortSignal): Promise<void> {
    const now = monotonic();
    this.#recover(now);
    const at = Math.max(now, this.#next);
    this.#next = at + 1000 / this.#rate;
    if (at - now >= 1) await sleep(at - now, signal);
  }

  /** @returns the new rate; `null` where it stays. */
  refused(): number | null {
    const now = monotonic();
    if (this.#rate < this.#most && now - this.#changedAt < BURST) return null;
    this.#rate = Math.max(Math.min(LEAST, this.#most / 4), this.#rate * BACK_OFF);
    this.#changedAt = now;
    return this.#rate;
  }

  #recover(now: number): void {
    const seconds = Math.floor((now - this.#changedAt) / 1000);
    if (this.#rate >= this.#most || seconds < 1) return;
    this.#rate = Math.min(this.#most, this.#rate * RECOVERY ** seconds);
    this.#changedAt = now;
  }
}
