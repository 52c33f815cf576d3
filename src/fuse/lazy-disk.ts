/**
 * A disk whose blocks are fetched from a source when they are read. A sparse scratch file keeps the fetched blocks, each of
 * which is fetched once, and everything that is written.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BLOCK_BYTES } from '../cloud/blocks.ts';
import type { Call } from '../cloud/ports.ts';
import { SnapError } from '../errors.ts';
import type { BlockSource, FetchedBlock } from './block-source.ts';
import type { WrittenBlockPages } from './written-block-pages.ts';

export interface LazyDiskOptions {
  source: BlockSource;
  snapshotId: string;
  /** Size of the disk in bytes. */
  bytes: number;
  /** Path of a file that does not exist yet. */
  scratch: string;
  /** What to do without a scratch file, as the end of a hint. */
  otherwise: string;
}

/** The place of the content of a block. */
const LOCATION = {
  /** It has to be fetched. */
  source: 0,
  /** It is in the scratch file. */
  scratch: 1,
  /** The block is zeros, and the scratch file need not be read. */
  absent: 2,
};

export class LazyDisk {
  readonly #options: LazyDiskOptions;
  readonly #scratch: FileHandle;
  readonly #locations: Uint8Array;
  /** The groups that are being fetched, with the blocks of each that turn out to be unreadable. */
  readonly #inFlight = new Map<number, Promise<ReadonlyMap<number, Error>>>();
  #zeros = Buffer.alloc(0);
  /** Index of the block after the last one that was read. Blocks are fetched ahead from here. */
  #ahead = 0;

  private constructor(options: LazyDiskOptions, scratch: FileHandle) {
    this.#options = options;
    this.#scratch = scratch;
    this.#locations = new Uint8Array(Math.ceil(options.bytes / BLOCK_BYTES));
  }

  static async open(options: LazyDiskOptions): Promise<LazyDisk> {
    const scratch = await open(options.scratch, 'wx+', 0o600);
    await scratch.truncate(options.bytes);
    return new LazyDisk(options, scratch);
  }

  /** Reads bytes. The result is shorter than `length` only at the end of the disk. @throws like the source */
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

  /**
   * Fetches blocks that may be read later. Nothing is reported about those that cannot be read: reading them fails.
   * @param first the first of them, @param end the one after the last.
   */
  prefetch(first: number, end: number): void {
    const last = Math.min(end, this.#locations.length);
    for (let index = first; index < last; index++) this.#block(index).catch(() => {});
  }

  /** Fetches all remaining written blocks. @throws like the source, or the reason of the signal */
  async fetchAhead(written: WrittenBlockPages, { inFlight, ...call }: Call & { inFlight: number }): Promise<void> {
    const fetching = new Set<Promise<void>>();
    const next = () => this.#nextAhead(written, call);
    for (let index = await next(); index !== null; index = await next()) {
      const fetched = this.#block(index).finally(() => fetching.delete(fetched));
      fetched.catch(() => {});
      fetching.add(fetched);
      if (fetching.size >= inFlight) await Promise.race(fetching);
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
  async #block(index: number): Promise<void> {
    if (this.#locations[index]) return;
    const group = this.#options.source.groupOf(index);
    if (group === null) {
      this.#locations[index] = LOCATION.absent;
      return;
    }
    const fetching = this.#inFlight.get(group) ?? this.#fetch(group).finally(() => this.#inFlight.delete(group));
    this.#inFlight.set(group, fetching);
    const problem = (await fetching).get(index);
    if (problem) throw problem;
  }

  /** @returns why blocks of the group cannot be read. */
  async #fetch(group: number): Promise<ReadonlyMap<number, Error>> {
    const problems = new Map<number, Error>();
    for (const { index, content } of await this.#options.source.fetch(group)) {
      if (content instanceof Error) problems.set(index, content);
      else if (!this.#locations[index]) await this.#take(index, content);
    }
    return problems;
  }

  async #take(index: number, content: Exclude<FetchedBlock['content'], Error>): Promise<void> {
    const start = index * BLOCK_BYTES;
    if (content) await this.#keep(content, Math.min(BLOCK_BYTES, this.#options.bytes - start), start);
    this.#locations[index] = content ? LOCATION.scratch : LOCATION.absent;
  }

  async #keep(data: Uint8Array, length: number, offset: number): Promise<void> {
    const { scratch, snapshotId, otherwise } = this.#options;
    try {
      await this.#scratch.write(data, 0, length, offset);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOSPC') throw cause;
      throw new SnapError(
        'NOT_SUPPORTED_HERE',
        `${dirname(scratch)} has no space left for the blocks of ${snapshotId}`,
        {
          hint: `set TMPDIR to a directory with more space, ${otherwise}`,
          cause,
        },
      );
    }
  }

  /** @returns the next written block that has neither been fetched nor is in flight; `null` if there is none. */
  async #nextAhead(written: WrittenBlockPages, call: Call): Promise<number | null> {
    const start = this.#ahead;
    const nextIn = (from: number, end: number) => this.#nextIn({ from, end }, written, call);
    return (await nextIn(start, this.#locations.length)) ?? (await nextIn(0, start));
  }

  async #nextIn(
    { from, end }: { from: number; end: number },
    written: WrittenBlockPages,
    call: Call,
  ): Promise<number | null> {
    for (let at = from; ; ) {
      const index = this.#locations.indexOf(LOCATION.source, at);
      if (index < 0 || index >= end) return null;
      const page = await written.pageOf(index, call);
      at = index;
      for (; at < Math.min(page.to, end); at++) {
        if (this.#locations[at]) continue;
        if (!page.blocks.has(at)) this.#locations[at] = LOCATION.absent;
        else if (!this.#inFlight.has(at)) return at;
      }
    }
  }
}
