/**
 * A snapshot's blocks as one plain stream: the image of the disk.
 *
 * Many blocks are on their way at once, and leave in order; memory is blocks in flight × 512 KiB. What was never
 * written is zero.
 */
import { BLOCK_BYTES, type BlockRef, type SnapshotBlock, type SnapshotBlocks } from '../cloud/blocks.ts';
import { MiB } from '../lib/units.ts';
import { writeAll } from './pipes.ts';
import type { BlockRateLimiter } from './rate-limiter.ts';

export interface BlockReading {
  blocks: SnapshotBlocks;
  snapshotId: string;
  /** The first byte that is wanted: a whole number of blocks. */
  from: number;
  /** Blocks on their way at once. */
  inFlight: number;
  budget: BlockRateLimiter;
  wanted?: (index: number) => boolean;
}

export interface BlockImageOptions extends BlockReading {
  /** Length of the disk in bytes. */
  bytes: number;
  signal: AbortSignal;
  /** Told of each block that was written at some time, in order, as soon as its bytes are on their way to the reader. */
  onBlock?: (index: number, block: SnapshotBlock) => void;
}

/** @param from where the stream begins, in bytes of the disk. */
export type OpenImage = (from: number, signal: AbortSignal) => BlockImage;

export interface BlockImage extends AsyncDisposable {
  /** Length of the disk. */
  readonly bytes: number;
  /** Bytes of the disk up to which the plain stream has been written. */
  readonly position: number;
  /**
   * Writes the image up to `end` bytes of the disk to a pipe, which stays the caller's. Ends early, without an error,
   * when nobody reads any more: the position tells.
   */
  writeTo(descriptor: number, end: number): Promise<void>;
  /** Leaves out what lies before `end` if no block of it was ever written, and says whether it did. */
  skipIfEmpty(end: number): Promise<boolean>;
}

const ZEROS = Buffer.alloc(MiB);

/** To be disposed: blocks that are on their way are given up then. */
export function blockImage(options: BlockImageOptions): BlockImage {
  const state = { position: options.from };
  const ended = new AbortController();
  const source = blocksInOrder(options, AbortSignal.any([options.signal, ended.signal]));
  const ahead = new LookingAhead(source);
  const write = async (descriptor: number, bytes: Uint8Array): Promise<boolean> => {
    if (!(await writeAll(descriptor, bytes))) return false;
    state.position += bytes.length;
    return true;
  };
  const zerosUpTo = async (descriptor: number, end: number): Promise<boolean> => {
    while (state.position < end) {
      const length = Math.min(ZEROS.length, end - state.position);
      if (!(await write(descriptor, ZEROS.subarray(0, length)))) return false;
    }
    return true;
  };
  return {
    bytes: options.bytes,
    get position() {
      return state.position;
    },
    async writeTo(descriptor, end) {
      for (let found = await ahead.take(end); found; found = await ahead.take(end)) {
        const { index, block } = found;
        const start = index * BLOCK_BYTES;
        const rest = block.bytes.subarray(0, Math.min(BLOCK_BYTES, options.bytes - start));
        if (!(await zerosUpTo(descriptor, start)) || !(await write(descriptor, rest))) return;
        options.onBlock?.(index, block);
      }
      await zerosUpTo(descriptor, end);
    },
    async skipIfEmpty(end) {
      if (!(await ahead.isEmpty(end))) return false;
      state.position = end;
      return true;
    },
    async [Symbol.asyncDispose]() {
      ended.abort(new Error('reading blocks has ended'));
      await source.return(undefined).catch(() => {});
    },
  };
}

interface PlacedBlock {
  index: number;
  block: SnapshotBlock;
}

/** One block at the most is kept for later. */
class LookingAhead {
  readonly #source: AsyncGenerator<PlacedBlock>;
  #waiting: PlacedBlock | null = null;

  constructor(source: AsyncGenerator<PlacedBlock>) {
    this.#source = source;
  }

  /** Whether no block begins before `end`, in bytes. */
  async isEmpty(end: number): Promise<boolean> {
    this.#waiting ??= (await this.#source.next()).value ?? null;
    return !this.#waiting || this.#waiting.index * BLOCK_BYTES >= end;
  }

  /** The next block, if it begins before `end`. */
  async take(end: number): Promise<PlacedBlock | null> {
    if (await this.isEmpty(end)) return null;
    const found = this.#waiting;
    this.#waiting = null;
    return found;
  }
}

/** Blocks in ascending order, while those behind them are on their way. @param options.wanted all, if not given. */
export async function* blocksInOrder(options: BlockReading, signal: AbortSignal): AsyncGenerator<PlacedBlock> {
  const { blocks, snapshotId, inFlight, budget, wanted } = options;
  const ended = new AbortController();
  const call = { signal: AbortSignal.any([signal, ended.signal]) };
  const underWay: { index: number; block: Promise<SnapshotBlock> }[] = [];
  const start = async (ref: BlockRef) => {
    await budget.turn(snapshotId, call.signal);
    const block = blocks.read(snapshotId, ref, call);
    block.catch(() => {});
    underWay.push({ index: ref.index, block });
  };
  const take = async () => {
    const first = underWay.shift();
    return first && { index: first.index, block: await first.block };
  };
  try {
    for await (const ref of blocks.list(snapshotId, options.from / BLOCK_BYTES, call)) {
      if (wanted && !wanted(ref.index)) continue;
      await start(ref);
      const first = underWay.length >= inFlight ? await take() : undefined;
      if (first) yield first;
    }
    for (let first = await take(); first; first = await take()) yield first;
  } finally {
    ended.abort(new Error('reading blocks has ended'));
    await Promise.allSettled(underWay.map(({ block }) => block));
  }
}
