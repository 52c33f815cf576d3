/** Limits the rate of block requests. It starts at the maximum and slows down when requests are throttled. */
import { monotonic, sleep } from '../lib/clock.ts';

/** Factors by which the rate shrinks after throttling and grows in each second without it. */
const BACK_OFF = 0.7;
const RECOVERY = 1.05;

/** Lowest rate in requests per second, unless a fourth of the maximum is less. */
const MIN_RATE = 5;

/** Milliseconds within which throttled requests count as one burst. */
const BURST_WINDOW = 1000;

/**
 * Blocks per second of one snapshot. AWS does not raise this limit. Source: quota L-028ACFB9 of the EBS direct APIs.
 */
const MAX_PER_SNAPSHOT = 1000;

/** The limit that a throttled request exceeded: that of one snapshot, or that of the account in the region. */
export type Limit = 'snapshot' | 'account';

/** Limits the block requests of a run, for each snapshot and for all snapshots together. */
export class BlockRateLimiter {
  readonly #account: RateLimiter;
  readonly #snapshots = new Map<string, RateLimiter>();
  readonly #maxPerSnapshot: number;

  /**
   * @param maximum blocks per second of all snapshots together.
   * @param maxPerSnapshot blocks per second of each snapshot.
   */
  constructor(maximum: number, maxPerSnapshot: number = MAX_PER_SNAPSHOT) {
    this.#account = new RateLimiter(maximum);
    this.#maxPerSnapshot = maxPerSnapshot;
  }

  /** Waits until a request may be sent. @throws the reason of the signal when it is aborted. */
  async acquire(snapshotId: string, signal: AbortSignal): Promise<void> {
    await this.#of(snapshotId).acquire(signal);
    await this.#account.acquire(signal);
  }

  /**
   * Reports a throttled request. The limit of a snapshot slows only that snapshot down.
   * @returns the new rate in blocks per second; `null` if the request belongs to a burst that was reported before.
   */
  reportThrottling(snapshotId: string, limit: Limit): number | null {
    return limit === 'account' ? this.#account.reportThrottling() : this.#of(snapshotId).reportThrottling();
  }

  #of(snapshotId: string): RateLimiter {
    const found = this.#snapshots.get(snapshotId) ?? new RateLimiter(this.#maxPerSnapshot);
    this.#snapshots.set(snapshotId, found);
    return found;
  }
}

class RateLimiter {
  readonly #maximum: number;
  #rate: number;
  #changedAt = monotonic();
  /** Time of the next request on the monotonic clock, in milliseconds. */
  #next = monotonic();

  /** @param maximum requests per second. */
  constructor(maximum: number) {
    this.#maximum = maximum;
    this.#rate = maximum;
  }

  /** Waits until a request may be sent. */
  async acquire(signal: AbortSignal): Promise<void> {
    const now = monotonic();
    this.#recover(now);
    const at = Math.max(now, this.#next);
    this.#next = at + 1000 / this.#rate;
    if (at - now >= 1) await sleep(at - now, signal);
  }

  /** @returns the new rate; `null` if it does not change. */
  reportThrottling(): number | null {
    const now = monotonic();
    if (this.#rate < this.#maximum && now - this.#changedAt < BURST_WINDOW) return null;
    this.#rate = Math.max(Math.min(MIN_RATE, this.#maximum / 4), this.#rate * BACK_OFF);
    this.#changedAt = now;
    return this.#rate;
  }

  #recover(now: number): void {
    const seconds = Math.floor((now - this.#changedAt) / 1000);
    if (this.#rate >= this.#maximum || seconds < 1) return;
    this.#rate = Math.min(this.#maximum, this.#rate * RECOVERY ** seconds);
    this.#changedAt = now;
  }
}
