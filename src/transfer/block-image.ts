/**
 * Streams the blocks of a snapshot as the image of its disk. Blocks that were never written are zeros.
 *
 * Several blocks are requested at the same time, but they are written in order. The memory used is the number of blocks
 * in flight × 512 KiB.
 */
import { BLOCK_BYTES, type BlockRef, type SnapshotBlock, type SnapshotBlocks } from '../cloud/blocks.ts';
import { MiB } from '../lib/units.ts';
import { writeAll } from './pipes.ts';
import type { BlockRateLimiter } from './rate-limiter.ts';

export interface BlockReading {
  blocks: SnapshotBlocks;
  snapshotId: string;
  /** Byte of the disk to start at; a multiple of the block size. */
  from: number;
  /** Maximum number of blocks in flight. */
  inFlight: number;
  rateLimiter: BlockRateLimiter;
  wanted?: (index: number) => boolean;
}

export interface BlockImageOptions extends BlockReading {
  /** Size of the disk in bytes. */
  bytes: number;
  signal: AbortSignal;
  /** Called for each block that was ever written, in order, as soon as its bytes have been written to the pipe. */
  onBlock?: (index: number, block: SnapshotBlock) => void;
}

/** @param from byte of the disk to start at; a multiple of the block size. */
export type OpenImage = (from: number, signal: AbortSignal) => BlockImage;

export interface BlockImage extends AsyncDisposable {
  /** Size of the disk in bytes. */
  readonly bytes: number;
  /** Bytes of the disk that have been written to the pipe or skipped. */
  readonly position: number;
  /**
   * Writes the image up to byte `end` of the disk to a pipe. The caller closes the pipe. If the reader closes its end,
   * this returns early without an error, and `position` shows how far it got.
   */
  writeTo(descriptor: number, end: number): Promise<void>;
  /**
   * Skips to byte `end` if no block before it was ever written.
   * @returns whether it skipped.
   */
  skipIfEmpty(end: number): Promise<boolean>;
}

const ZEROS = Buffer.alloc(MiB);

/** Starts reading. Disposing of the image cancels the blocks in flight. */
export function blockImage(options: BlockImageOptions): BlockImage {
  const state = { position: options.from };
  const ended = new AbortController();
  const source = blocksInOrder(options, AbortSignal.any([options.signal, ended.signal]));
  const lookahead = new BlockLookahead(source);
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
      for (let found = await lookahead.take(end); found; found = await lookahead.take(end)) {
        const { index, block } = found;
        const start = index * BLOCK_BYTES;
        const rest = block.bytes.subarray(0, Math.min(BLOCK_BYTES, options.bytes - start));
        if (!(await zerosUpTo(descriptor, start)) || !(await write(descriptor, rest))) return;
        options.onBlock?.(index, block);
      }
      await zerosUpTo(descriptor, end);
    },
    async skipIfEmpty(end) {
      if (!(await lookahead.isEmpty(end))) return false;
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

/** Looks ahead by one block. */
class BlockLookahead {
  readonly #source: AsyncGenerator<PlacedBlock>;
  #waiting: PlacedBlock | null = null;

  constructor(source: AsyncGenerator<PlacedBlock>) {
    this.#source = source;
  }

  /** Whether no block starts before byte `end`. */
  async isEmpty(end: number): Promise<boolean> {
    this.#waiting ??= (await this.#source.next()).value ?? null;
    return !this.#waiting || this.#waiting.index * BLOCK_BYTES >= end;
  }

  /** Returns the next block if it starts before byte `end`. */
  async take(end: number): Promise<PlacedBlock | null> {
    if (await this.isEmpty(end)) return null;
    const found = this.#waiting;
    this.#waiting = null;
    return found;
  }
}

/**
 * Yields blocks in ascending order while later ones are already in flight.
 * @param options.wanted selects blocks by index; by default all.
 */
export async function* blocksInOrder(options: BlockReading, signal: AbortSignal): AsyncGenerator<PlacedBlock> {
  const { blocks, snapshotId, inFlight, rateLimiter, wanted } = options;
  const ended = new AbortController();
  const call = { signal: AbortSignal.any([signal, ended.signal]) };
  const inFlightBlocks: { index: number; block: Promise<SnapshotBlock> }[] = [];
  const start = async (ref: BlockRef) => {
    await rateLimiter.acquire(snapshotId, call.signal);
    const block = blocks.read(snapshotId, ref, call);
    block.catch(() => {});
    inFlightBlocks.push({ index: ref.index, block });
  };
  const take = async () => {
    const first = inFlightBlocks.shift();
    return first && { index: first.index, block: await first.block };
  };
  try {
    for await (const ref of blocks.list(snapshotId, options.from / BLOCK_BYTES, call)) {
      if (wanted && !wanted(ref.index)) continue;
      await start(ref);
      const first = inFlightBlocks.length >= inFlight ? await take() : undefined;
      if (first) yield first;
    }
    for (let first = await take(); first; first = await take()) yield first;
  } finally {
    ended.abort(new Error('reading blocks has ended'));
    await Promise.allSettled(inFlightBlocks.map(({ block }) => block));
  }
}
