/** A limited number of large buffers that are reused. */
import { SnapError } from '../errors.ts';

interface Waiter {
  ready: () => void;
}

export class BufferPool {
  readonly #maximum: number;
  readonly #idle: Buffer[] = [];
  readonly #taken = new Set<Buffer>();
  readonly #waiters: Waiter[] = [];

  /** @param maximum number of buffers that may be taken at the same time. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** Waits until a buffer is available. @throws the reason of the signal when it is aborted. */
  async take(size: number, signal: AbortSignal): Promise<Buffer> {
    while (this.#taken.size >= this.#maximum) await this.#waitForRelease(signal);
    if (signal.aborted) {
      // This waiter may have been woken already. Then the buffer goes to the next one.
      this.#waiters.shift()?.ready();
      signal.throwIfAborted();
    }
    const buffer = this.#idleOf(size) ?? Buffer.allocUnsafeSlow(size);
    this.#taken.add(buffer);
    return buffer;
  }

  release(buffer: Buffer): void {
    if (!this.#taken.delete(buffer)) throw new SnapError('BUG', 'a buffer was released that was not taken');
    this.#idle.push(buffer);
    this.#waiters.shift()?.ready();
  }

  /** Returns an idle buffer of this size. It drops one of another size, because sizes only grow. */
  #idleOf(size: number): Buffer | undefined {
    const buffer = this.#idle.pop();
    return buffer?.length === size ? buffer : undefined;
  }

  #waitForRelease(signal: AbortSignal): Promise<void> {
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
