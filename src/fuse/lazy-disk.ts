/**
 * A disk whose blocks are fetched from a snapshot when they are read. All other blocks are fetched ahead, each of them
 * once. A sparse scratch file keeps the fetched blocks and everything that is written.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BLOCK_BYTES, type SnapshotBlocks } from '../cloud/blocks.ts';
import { SnapError } from '../errors.ts';
import type { BlockRateLimiter } from '../transfer/rate-limiter.ts';
import { WrittenBlockPages } from './written-block-pages.ts';

export interface LazyDiskOptions {
  blocks: SnapshotBlocks;
  snapshotId: string;
  /** Size of the disk in bytes. */
  bytes: number;
  /** Path of a file that does not exist yet. */
  scratch: string;
  rateLimiter: BlockRateLimiter;
  /** Maximum number of blocks in flight that are fetched ahead. */
  inFlight: number;
  signal: AbortSignal;
}

/** The place of the content of a block. */
const LOCATION = {
  /** It has to be fetched. */
  snapshot: 0,
  /** It is in the scratch file. */
  scratch: 1,
  /** The block was never written, so it is zeros and the scratch file need not be read. */
  absent: 2,
};

export class LazyDisk {
  readonly #options: LazyDiskOptions;
  readonly #scratch: FileHandle;
  readonly #written: WrittenBlockPages;
  readonly #locations: Uint8Array;
  readonly #inFlight = new Map<number, Promise<void>>();
  #zeros = Buffer.alloc(0);
  /** Index of the block after the last one that was read. Blocks are fetched ahead from here. */
  #ahead = 0;

  private constructor(options: LazyDiskOptions, scratch: FileHandle) {
    this.#options = options;
    this.#scratch = scratch;
    this.#written = new WrittenBlockPages(options.blocks, options.snapshotId);
    this.#locations = new Uint8Array(Math.ceil(options.bytes / BLOCK_BYTES));
  }

  static async open(options: LazyDiskOptions): Promise<LazyDisk> {
    const scratch = await open(options.scratch, 'wx+', 0o600);
    await scratch.truncate(options.bytes);
    return new LazyDisk(options, scratch);
  }

  /** Reads bytes. The result is shorter than `length` only at the end of the disk. @throws like `SnapshotBlocks` */
  async read(offset: number, length: number): Promise<Buffer> {
    const available = Math.max(0, Math.min(length, this.#options.bytes - offset));
    if (available === 0) return Buffer.alloc(0);
    const { first, end } = await this.#ensureFetched(offset, available);
    if (this.#locations.subarray(first, end).every((location) => location === LOCATION.absent))
      return this.#zerosOf(available);
    const target = Buffer.allocUnsafe(available);
    const { bytesRead } = await this.#scratch.read(target, 0, target.length, offset);
    if (bytesRead !== target.length) throw new Error(`the scratch file ends at ${offset + bytesRead}`);
    return target;
  }

  async write(offset: number, data: Buffer): Promise<void> {
    const { first, end } = await this.#ensureFetched(offset, data.length);
    this.#locations.fill(LOCATION.scratch, first, end);
    await this.#keep(data, data.length, offset);
  }

  /** Fetches all remaining blocks. @throws like `SnapshotBlocks`, or the reason of the signal */
  async fetchAhead(): Promise<void> {
    const fetching = new Set<Promise<void>>();
    for (let index = await this.#nextAhead(); index !== null; index = await this.#nextAhead()) {
      const fetched = this.#block(index).finally(() => fetching.delete(fetched));
      fetched.catch(() => {});
      fetching.add(fetched);
      if (fetching.size >= this.#options.inFlight) await Promise.race(fetching);
    }
    await Promise.all(fetching);
  }

  close = (): Promise<void> => this.#scratch.close();

  /** All readers share these zeros, because none of them changes the buffer. */
  #zerosOf(length: number): Buffer {
    if (this.#zeros.length < length) this.#zeros = Buffer.alloc(length);
    return this.#zeros.subarray(0, length);
  }

  async #ensureFetched(offset: number, length: number): Promise<{ first: number; end: number }> {
    const [first, end] = [Math.floor(offset / BLOCK_BYTES), Math.ceil((offset + length) / BLOCK_BYTES)];
    this.#ahead = end;
    const awaited: Promise<void>[] = [];
    for (let index = first; index < end; index++) if (!this.#locations[index]) awaited.push(this.#block(index));
    await Promise.all(awaited);
    return { first, end };
  }

  /** Fetches a block at most once, because fetching it again would undo writes. */
  #block(index: number): Promise<void> {
    if (this.#locations[index]) return Promise.resolve();
    const fetching = this.#inFlight.get(index) ?? this.#fetch(index).finally(() => this.#inFlight.delete(index));
    this.#inFlight.set(index, fetching);
    return fetching;
  }

  async #fetch(index: number): Promise<void> {
    const { blocks, snapshotId, rateLimiter, signal, bytes } = this.#options;
    const { blocks: listed } = await this.#written.pageOf(index, { signal });
    const ref = listed.get(index);
    if (ref) {
      await rateLimiter.acquire(snapshotId, signal);
      const { bytes: data } = await blocks.read(snapshotId, ref, { signal });
      const start = index * BLOCK_BYTES;
      await this.#keep(data, Math.min(BLOCK_BYTES, bytes - start), start);
    }
    this.#locations[index] = ref ? LOCATION.scratch : LOCATION.absent;
  }

  async #keep(data: Uint8Array, length: number, offset: number): Promise<void> {
    const { scratch, snapshotId } = this.#options;
    try {
      await this.#scratch.write(data, 0, length, offset);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOSPC') throw cause;
      throw new SnapError(
        'NOT_SUPPORTED_HERE',
        `${dirname(scratch)} has no space left for the blocks of ${snapshotId}`,
        {
          hint: 'set TMPDIR to a directory with more space, use --source volume, or use --dd, which needs none',
          cause,
        },
      );
    }
  }

  /** @returns the next written block that has neither been fetched nor is in flight; `null` if there is none. */
  async #nextAhead(): Promise<number | null> {
    const start = this.#ahead;
    return (await this.#nextIn(start, this.#locations.length)) ?? (await this.#nextIn(0, start));
  }

  async #nextIn(from: number, end: number): Promise<number | null> {
    for (let at = from; ; ) {
      const index = this.#locations.indexOf(LOCATION.snapshot, at);
      if (index < 0 || index >= end) return null;
      const page = await this.#written.pageOf(index, this.#options);
      at = index;
      for (; at < Math.min(page.to, end); at++) {
        if (this.#locations[at]) continue;
        if (!page.blocks.has(at)) this.#locations[at] = LOCATION.absent;
        else if (!this.#inFlight.has(at)) return at;
      }
    }
  }
}
