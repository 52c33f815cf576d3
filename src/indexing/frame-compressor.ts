/**
 * Compresses blocks in several threads. Each block becomes a frame of its own, and the frames come out in the order of
 * the blocks. Blocks of zeros have the same frame, which is compressed once.
 */
import { availableParallelism } from 'node:os';
import type { Codec } from '../archive/codec.ts';
import { COMPRESSION_BLOCK_BYTES, newBlockMemory, SharedBlocks } from './block-memory.ts';
import { CompressingThreads } from './compressing-threads.ts';

/** A compressed block. */
export interface Frame {
  plainBytes: number;
  /** Whether the block was added as zeros. */
  isZero: boolean;
  bytes: Buffer;
}

interface WaitingBlock {
  isZero: boolean;
  /** The block in the shared memory; `null` if the frame of zeros is used. */
  block: number | null;
}

/** Each thread needs the memory of at least two blocks of 4 MiB, plain and compressed. */
const MAX_THREADS = 4;

export class FrameCompressor implements AsyncDisposable {
  readonly #blocks: SharedBlocks;
  readonly #threads: CompressingThreads;
  readonly #waiting: WaitingBlock[] = [];
  /** Number of blocks that were put into the shared memory, and that were removed from it. */
  #loaded = 0;
  #emptied = 0;
  /** Resolves when a block is added or removed. */
  #changed = Promise.withResolvers<void>();
  /** The frame of a whole block of zeros. */
  #zeros: Buffer | null = null;

  /** @param env of the commands that compress; see `CompressingThreads`. */
  constructor(codec: Codec, env: NodeJS.ProcessEnv) {
    const memory = newBlockMemory(Math.min(availableParallelism(), MAX_THREADS));
    this.#blocks = new SharedBlocks(memory);
    this.#threads = new CompressingThreads({ memory, codec, isFramed: true }, env);
  }

  /**
   * Waits until another block fits. @returns the memory for it, which contains bytes of an earlier one.
   * @throws like `first`.
   */
  async room(plainBytes: number): Promise<Buffer> {
    for (;;) {
      this.#threads.check();
      if (!this.#isFull) return this.#nextRoom(plainBytes);
      await this.#changed.promise;
    }
  }

  /** Compresses the bytes that were put into `room`. */
  add(plainBytes: number): void {
    this.#load(plainBytes, false);
  }

  /** Adds a block of zeros, whatever `room` contains. */
  addZeros(plainBytes: number): void {
    if (plainBytes === COMPRESSION_BLOCK_BYTES && this.#zeros) {
      this.#waiting.push({ isZero: true, block: null });
      this.#notify();
      return;
    }
    this.#nextRoom(plainBytes).fill(0);
    this.#load(plainBytes, true);
  }

  /**
   * Waits for the next frame, also for its block. Its bytes are valid until `drop` is called.
   * @throws Error if a thread fails; the reason of `fail`.
   */
  async first(): Promise<Frame> {
    const { isZero, block } = await this.#firstWaiting();
    if (block !== null) await this.#threads.compressed(block);
    const plainBytes = block === null ? COMPRESSION_BLOCK_BYTES : this.#blocks.plain(block).length;
    const bytes = block === null ? this.#zeros : this.#blocks.stored(block);
    if (!bytes) throw new Error('a block has no frame');
    if (isZero && plainBytes === COMPRESSION_BLOCK_BYTES) this.#zeros ??= Buffer.from(bytes);
    return { plainBytes, isZero, bytes };
  }

  /** Removes the frame that `first` has returned. */
  drop(): void {
    const block = this.#waiting.shift()?.block ?? null;
    if (block !== null) {
      this.#blocks.empty(block);
      this.#emptied++;
    }
    this.#notify();
  }

  /** Ends every wait. */
  fail(reason: unknown): void {
    this.#threads.fail(reason);
    this.#notify();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads.stop();
  }

  get #isFull(): boolean {
    return this.#loaded - this.#emptied === this.#blocks.slots || this.#waiting.length > MAX_WAITING;
  }

  #nextRoom(plainBytes: number): Buffer {
    return this.#blocks.plainRoom(this.#loaded).subarray(0, plainBytes);
  }

  async #firstWaiting(): Promise<WaitingBlock> {
    for (;;) {
      this.#threads.check();
      const [first] = this.#waiting;
      if (first) return first;
      await this.#changed.promise;
    }
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  #load(plainBytes: number, isZero: boolean): void {
    this.#blocks.load(this.#loaded, plainBytes);
    this.#waiting.push({ isZero, block: this.#loaded });
    this.#loaded++;
    this.#notify();
  }
}

/** A long run of zeros takes no room, but it must not be read to its end before its frames are taken. */
const MAX_WAITING = 1024;
