/**
 * Reads the blocks of a snapshot as the image of its disk. Blocks that were never written are zeros.
 *
 * Several blocks are requested at the same time, but they are taken in order. The memory used is the number of blocks
 * in flight × 512 KiB.
 */
import { BLOCK_BYTES, type BlockRef, type SnapshotBlock, type SnapshotBlocks } from '../cloud/blocks.ts';
import type { BlockRateLimiter } from './rate-limiter.ts';

export interface BlockReading {
  blocks: SnapshotBlocks;
  snapshotId: string;
  /** Byte of the disk to start at; a multiple of the block size. */
  from: number;
  /** Maximum number of blocks in flight. */
  inFlight: number;
  rateLimiter: BlockRateLimiter;
  /** Selects blocks by their index; by default all. */
  wanted?: (index: number) => boolean;
  /** The first block that is no longer listed; by default all blocks are. */
  end?: number;
}

export interface BlockImageOptions extends BlockReading {
  /** Size of the disk in bytes. */
  bytes: number;
  signal: AbortSignal;
  /** Called for each block that was ever written, in order, as soon as its bytes were read. */
  onBlock?: (index: number, block: SnapshotBlock) => void;
}

/** @param from byte of the disk to start at; a multiple of the block size. */
export type OpenImage = (from: number, signal: AbortSignal) => BlockImage;

export interface BlockImage extends AsyncDisposable {
  /** Size of the disk in bytes. */
  readonly bytes: number;
  /** Bytes of the disk that have been read. */
  readonly position: number;
  /**
   * Reads the next bytes of the disk into a buffer, whose end must be the end of a block or of the disk.
   * @returns `false` if no block in this range was ever written. The buffer is unchanged then; its bytes would be zeros.
   */
  read(buffer: Buffer): Promise<boolean>;
}

/** Starts reading. Disposing of the image cancels the blocks in flight. */
export function blockImage(options: BlockImageOptions): BlockImage {
  let position = options.from;
  const ended = new AbortController();
  const source = blocksInOrder(options, AbortSignal.any([options.signal, ended.signal]));
  const lookahead = new BlockLookahead(source);
  return {
    bytes: options.bytes,
    get position() {
      return position;
    },
    async read(buffer) {
      const [start, end] = [position, position + buffer.length];
      let filled = 0;
      for (let found = await lookahead.take(end); found; found = await lookahead.take(end)) {
        const { index, block } = found;
        const at = index * BLOCK_BYTES - start;
        buffer.fill(0, filled, at);
        buffer.set(block.bytes.subarray(0, buffer.length - at), at);
        filled = Math.min(at + BLOCK_BYTES, buffer.length);
        options.onBlock?.(index, block);
        found.release();
      }
      const isData = filled > 0;
      if (isData) buffer.fill(0, filled);
      position = end;
      return isData;
    },
    async [Symbol.asyncDispose]() {
      ended.abort(new Error('reading blocks has ended'));
      await source.return(undefined).catch(() => {});
    },
  };
}

export interface PlacedBlock {
  index: number;
  block: SnapshotBlock;
  /** Lets the memory of the block be used for another one. */
  release(): void;
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

/** Yields blocks in ascending order while later ones are already in flight. */
export async function* blocksInOrder(options: BlockReading, signal: AbortSignal): AsyncGenerator<PlacedBlock> {
  const { blocks, snapshotId, inFlight, rateLimiter, wanted, end = Number.POSITIVE_INFINITY } = options;
  const ended = new AbortController();
  const call = { signal: AbortSignal.any([signal, ended.signal]) };
  const inFlightBlocks: { index: number; buffer: Buffer; block: Promise<SnapshotBlock> }[] = [];
  const unused: Buffer[] = [];
  const start = async (ref: BlockRef) => {
    await rateLimiter.acquire(snapshotId, call.signal);
    const buffer = unused.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    const block = blocks.read(snapshotId, ref, call, buffer);
    block.catch(() => {});
    inFlightBlocks.push({ index: ref.index, buffer, block });
  };
  const take = async (): Promise<PlacedBlock | undefined> => {
    const first = inFlightBlocks.shift();
    return first && { index: first.index, block: await first.block, release: () => unused.push(first.buffer) };
  };
  try {
    for await (const ref of blocks.list(snapshotId, options.from / BLOCK_BYTES, call)) {
      if (ref.index >= end) break;
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
