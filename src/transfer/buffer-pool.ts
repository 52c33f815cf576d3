/** Large buffers, a bounded number of them, used again and again. */
import { SnapError } from '../errors.ts';

interface Waiter {
  ready: () => void;
}

export class BufferPool {
  readonly #most: number;
  readonly #idle: Buffer[] = [];
  readonly #lent = new Set<Buffer>();
  readonly #waiters: Waiter[] = [];

  /** @param most buffers that may be lent at once. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Waits until a buffer is free. Throws the signal's reason when cancelled. */
  async take(size: number, signal: AbortSignal): Promise<Buffer> {
    while (this.#lent.size >= this.#most) await this.#giveBackOf(signal);
    if (signal.aborted) {
      // It may have been woken before: the buffer is for the next one then.
      this.#waiters.shift()?.ready();
      signal.throwIfAborted();
    }
    const buffer = this.#idleOf(size) ?? Buffer.allocUnsafeSlow(size);
    this.#lent.add(buffer);
    return buffer;
  }

  giveBack(buffer: Buffer): void {
    if (!this.#lent.delete(buffer)) throw new SnapError('BUG', 'a buffer was given back that was not lent');
    this.#idle.push(buffer);
    this.#waiters.shift()?.ready();
  }

  /** One of the size; others are dropped, since sizes only grow. */
  #idleOf(size: number): Buffer | undefined {
    const buffer = this.#idle.pop();
    return buffer?.length === size ? buffer : undefined;
  }

  #giveBackOf(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { ready: resolve };
    const onAbort = () => {
      const at = this.#waiters.indexOf(waiter);
      if (at >= 0) this.#waiters.splice(at, 1);
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiters.push(waiter);
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }
}
