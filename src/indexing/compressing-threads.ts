/** The threads that compress the blocks in a shared memory. */
import { asError } from '../errors.ts';
import { startThread } from '../lib/threads.ts';
import { COMPRESSED, SharedBlocks } from './block-memory.ts';
import type { CompressingOrder } from './compressing-thread.ts';
import { OWN_OUTPUT } from './indexing-order.ts';

export class CompressingThreads {
  readonly #blocks: SharedBlocks;
  readonly #stop: (() => Promise<number>)[] = [];
  /** Why no more blocks will be compressed. */
  #failure: Error | null = null;

  /** @param env of the threads and of the commands that they run; by default that of this process. */
  constructor(order: Omit<CompressingOrder, 'thread'>, env?: NodeJS.ProcessEnv) {
    this.#blocks = new SharedBlocks(order.memory);
    const options = { ...OWN_OUTPUT, ...(env ? { env } : {}) };
    for (let thread = 0; thread < order.memory.threads; thread++) {
      const { worker, answer } = startThread('indexing/compressing-thread', { ...order, thread }, options);
      answer.catch((error) => this.fail(error));
      this.#stop.push(() => worker.terminate());
    }
  }

  /** Waits until a block is compressed. @throws the error of a thread, or the reason of `fail`. */
  async compressed(block: number): Promise<void> {
    const isCompressed = await this.#blocks.waitAsync(block, COMPRESSED);
    this.check();
    if (!isCompressed) throw new Error(`block ${block} was not compressed`);
  }

  /** @throws the error of a thread, or the reason of `fail`. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Ends every wait for a block. */
  fail(reason: unknown): void {
    this.#failure ??= asError(reason);
    this.#blocks.end();
  }

  /** Lets the threads end. All blocks must be empty. */
  end(): void {
    this.#blocks.end();
  }

  /** Ends the threads, whatever they are doing. */
  async stop(): Promise<void> {
    await Promise.all(this.#stop.map((stop) => stop()));
  }
}
