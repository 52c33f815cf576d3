/**
 * A disk whose blocks come from a snapshot when they are asked for, the rest ahead of that, each once; what has come, and
 * what is written, is kept in a sparse scratch file.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BLOCK_BYTES, type SnapshotBlocks } from '../cloud/blocks.ts';
import { SnapError } from '../errors.ts';
import type { BlockRateLimiter } from '../transfer/rate-limiter.ts';
import { WrittenBlocks } from './written-blocks.ts';

export interface LazyDiskOptions {
  blocks: SnapshotBlocks;
  snapshotId: string;
  /** Length of the disk in bytes. */
  bytes: number;
  /** Path of a file that is not there yet. */
  scratch: string;
  rateLimiter: BlockRateLimiter;
  /** Blocks on their way at once, ahead of what is asked for. */
  inFlight: number;
  signal: AbortSignal;
}

/** Where what a block holds is known from. */
const WHERE = {
  /** Has to be fetched. */
  nowhere: 0,
  /** What the scratch file has there is right. */
  scratch: 1,
  /** Nobody wrote it, neither before nor here: zeros, for which the scratch file need not be read. */
  absent: 2,
};

export class LazyDisk {
  readonly #options: LazyDiskOptions;
  readonly #scratch: FileHandle;
  readonly #written: WrittenBlocks;
  readonly #where: Uint8Array;
  readonly #underWay = new Map<number, Promise<void>>();
  #zeros = Buffer.alloc(0);
  /** Where blocks are fetched ahead from: behind what was asked for last. */
  #ahead = 0;

  private constructor(options: LazyDiskOptions, scratch: FileHandle) {
    this.#options = options;
    this.#scratch = scratch;
    this.#written = new WrittenBlocks(options.blocks, options.snapshotId);
    this.#where = new Uint8Array(Math.ceil(options.bytes / BLOCK_BYTES));
  }

  static async open(options: LazyDiskOptions): Promise<LazyDisk> {
    const scratch = await open(options.scratch, 'wx+', 0o600);
    await scratch.truncate(options.bytes);
    return new LazyDisk(options, scratch);
  }

  /** @returns what is there; less than `length` at the end of the disk. Throws as `SnapshotBlocks` does. */
  async read(offset: number, length: number): Promise<Buffer> {
    const there = Math.max(0, Math.min(length, this.#options.bytes - offset));
    if (there === 0) return Buffer.alloc(0);
    const { first, end } = await this.#bringHere(offset, there);
    if (this.#where.subarray(first, end).every((where) => where === WHERE.absent)) return this.#zerosOf(there);
    const target = Buffer.allocUnsafe(there);
    const { bytesRead } = await this.#scratch.read(target, 0, target.length, offset);
    if (bytesRead !== target.length) throw new Error(`the scratch file ends at ${offset + bytesRead}`);
    return target;
  }

  async write(offset: number, data: Buffer): Promise<void> {
    const { first, end } = await this.#bringHere(offset, data.length);
    this.#where.fill(WHERE.scratch, first, end);
    await this.#keep(data, data.length, offset);
  }

  /** Settles once all blocks are here. Throws as `SnapshotBlocks` does, and the signal's reason. */
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

  /** The same ones for all who read: nobody changes what they are given. */
  #zerosOf(length: number): Buffer {
    if (this.#zeros.length < length) this.#zeros = Buffer.alloc(length);
    return this.#zeros.subarray(0, length);
  }

  async #bringHere(offset: number, length: number): Promise<{ first: number; end: number }> {
    const [first, end] = [Math.floor(offset / BLOCK_BYTES), Math.ceil((offset + length) / BLOCK_BYTES)];
    this.#ahead = end;
    const awaited: Promise<void>[] = [];
    for (let index = first; index < end; index++) if (!this.#where[index]) awaited.push(this.#block(index));
    await Promise.all(awaited);
    return { first, end };
  }

  /** Once here it is never fetched again: that would undo what was written. */
  #block(index: number): Promise<void> {
    if (this.#where[index]) return Promise.resolve();
    const underWay = this.#underWay.get(index) ?? this.#fetch(index).finally(() => this.#underWay.delete(index));
    this.#underWay.set(index, underWay);
    return underWay;
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
    this.#where[index] = ref ? WHERE.scratch : WHERE.absent;
  }

  async #keep(data: Uint8Array, length: number, offset: number): Promise<void> {
    const { scratch, snapshotId } = this.#options;
    try {
      await this.#scratch.write(data, 0, length, offset);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOSPC') throw cause;
      throw new SnapError('NOT_SUPPORTED_HERE', `there is no space left for ${snapshotId} in ${dirname(scratch)}`, {
        hint: 'set TMPDIR to a directory with more space, or use --source volume, or --dd, which needs none',
        cause,
      });
    }
  }

  /** @returns the next written block that is neither here nor on its way; `null` when there is none. */
  async #nextAhead(): Promise<number | null> {
    const start = this.#ahead;
    return (await this.#nextIn(start, this.#where.length)) ?? (await this.#nextIn(0, start));
  }

  async #nextIn(from: number, end: number): Promise<number | null> {
    for (let at = from; ; ) {
      const index = this.#where.indexOf(WHERE.nowhere, at);
      if (index < 0 || index >= end) return null;
      const page = await this.#written.pageOf(index, this.#options);
      at = index;
      for (; at < Math.min(page.to, end); at++) {
        if (this.#where[at]) continue;
        if (!page.blocks.has(at)) this.#where[at] = WHERE.absent;
        else if (!this.#underWay.has(at)) return at;
      }
    }
  }
}
