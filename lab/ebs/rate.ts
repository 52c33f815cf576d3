/** Limits the number of blocks that are read per second, for each snapshot and for the account. */
import { type LabContext, ServiceError } from '../core/contract.ts';

/** A token bucket that holds the tokens of one second, but at least one token. */
class Bucket {
  #tokens: number | null = null;
  #at = performance.now();

  take(perSecond: number): boolean {
    const now = performance.now();
    const most = Math.max(1, perSecond);
    this.#tokens = Math.min(most, (this.#tokens ?? most) + ((now - this.#at) / 1000) * perSecond);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

export class Rate {
  readonly #context: LabContext;
  readonly #account = new Bucket();
  readonly #snapshots = new Map<string, Bucket>();

  constructor(context: LabContext) {
    this.#context = context;
  }

  /** @throws ServiceError `RequestThrottledException`, with a reason that shows which limit was exceeded. */
  take(snapshotId: string): void {
    const { snapshotBlocksPerSecond, accountBlocksPerSecond } = this.#context.delays;
    const bucket = this.#snapshots.get(snapshotId) ?? new Bucket();
    this.#snapshots.set(snapshotId, bucket);
    if (snapshotBlocksPerSecond > 0 && !bucket.take(snapshotBlocksPerSecond))
      throw throttled('RESOURCE_LEVEL_THROTTLE');
    if (accountBlocksPerSecond > 0 && !this.#account.take(accountBlocksPerSecond)) throw throttled('ACCOUNT_THROTTLED');
  }
}

const throttled = (reason: string): ServiceError =>
  new ServiceError('RequestThrottledException', 'too many requests', 400, { Reason: reason });
