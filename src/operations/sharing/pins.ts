/** Pins, which keep `expire` from removing archives that are being restored. Only the clock of the store decides their age. */
import { randomBytes } from 'node:crypto';
import { encodePin, lifeOfPin, pinFolder, pinKey, snapshotOfPin } from '../../archive/expiry/pin.ts';
import type { ArchiveStore } from '../../cloud/ports.ts';
import { asError, SnapError } from '../../errors.ts';
import { minutes, sleep } from '../../lib/clock.ts';
import { cleanupError, cleanupSignal } from '../../lib/disposal.ts';
import { inParallel } from '../../lib/parallel.ts';

export interface PinOrder {
  snapshotId: string;
  prefix: string;
  /** Seconds that the pin lasts without renewal. */
  lifeSeconds: number;
}

/** Maximum time between two renewals. */
const MAX_PAUSE = minutes(6 * 60);

/** A pin of this process, which is renewed until it is released. */
export class HeldPin {
  readonly #order: PinOrder;
  readonly #store: ArchiveStore;
  readonly #ended = new AbortController();
  readonly #key: string;
  #etag: string | null = null;
  #renewal = 0;
  #renewing: Promise<void> = Promise.resolve();

  private constructor(order: PinOrder, store: ArchiveStore) {
    this.#order = order;
    this.#store = store;
    this.#key = pinKey(order.prefix, order.snapshotId, randomBytes(4).toString('hex'));
  }

  /** @throws SnapError the errors of the store. */
  static async take(order: PinOrder, store: ArchiveStore, signal: AbortSignal): Promise<HeldPin> {
    const pin = new HeldPin(order, store);
    await pin.#write(signal);
    pin.#renewing = pin.#renew();
    return pin;
  }

  /** Ends the renewal, and removes the pin. @throws SnapError `CLEANUP_FAILED`; the pin then expires. */
  async release(): Promise<void> {
    await this.leave();
    if (this.#etag === null) return;
    const signal = cleanupSignal();
    await this.#store.removeIf(this.#key, this.#etag, { signal }).catch((cause: unknown) => {
      throw cleanupError(`the pin ${this.#key}`, 'the pin expires by itself, and expire then removes it', cause);
    });
  }

  /** Ends the renewal, and leaves the pin for a later run until it expires. */
  async leave(): Promise<void> {
    this.#ended.abort();
    await this.#renewing;
  }

  /** Several renewals may fail before the pin expires. */
  async #renew(): Promise<void> {
    for (;;) {
      try {
        await sleep(Math.min((this.#order.lifeSeconds * 1000) / 8, MAX_PAUSE), this.#ended.signal);
      } catch {
        return;
      }
      await this.#write(cleanupSignal()).catch(() => {});
    }
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { snapshotId: snapshot, lifeSeconds } = this.#order;
    this.#renewal++;
    const body = encodePin({ snapshot, lifeSeconds, renewal: this.#renewal });
    const facts = { key: this.#key, metadata: {}, tags: {} };
    this.#etag = (await this.#store.putSmall(facts, body, this.#etag, { signal })).etag;
  }
}

/** Maximum number of pins that are read at the same time. */
const CONCURRENCY = 16;

/**
 * Finds the snapshots whose archives have a live pin, and removes pins that have expired.
 * @throws SnapError the errors of the store, also if a pin cannot be read.
 */
export async function pinnedSnapshots(prefix: string, store: ArchiveStore, signal: AbortSignal): Promise<Set<string>> {
  const pinned = new Set<string>();
  const keys = await store.list(pinFolder(prefix), { signal });
  await inParallel(keys, CONCURRENCY, signal, async (key, working) => {
    const snapshot = snapshotOfPin(key);
    if (snapshot !== null && (await isLive(key, store, working))) pinned.add(snapshot);
  });
  return pinned;
}

async function isLive(key: string, store: ArchiveStore, signal: AbortSignal): Promise<boolean> {
  try {
    const { body, etag, modifiedAt, answeredAt } = await store.getSmall(key, { signal });
    if (answeredAt.getTime() - modifiedAt.getTime() <= lifeOfPin(body) * 1000) return true;
    await store.removeIf(key, etag, { signal });
    return false;
  } catch (error) {
    if (error instanceof SnapError && error.code === 'NOT_FOUND') return false;
    throw asError(error);
  }
}
