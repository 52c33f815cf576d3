/**
 * A snapshot's blocks as one plain stream: the image of the disk.
 *
 * Many blocks are on their way at once, and leave in order; memory is blocks in flight × 512 KiB. What was never
 * written is zero.
 */
import { createHash } from 'node:crypto';
import { BLOCK_BYTES, type BlockRef, type SnapshotBlock, type SnapshotBlocks } from '../cloud/blocks.ts';
import { MiB } from '../lib/units.ts';
import type { BlockBudget } from './governor.ts';
import { writeAll } from './pipes.ts';

export interface BlockImageOptions {
  blocks: SnapshotBlocks;
  snapshotId: string;
  /** Length of the disk in bytes. */
  bytes: number;
  /** Where the stream begins: a whole number of blocks, in bytes. */
  from: number;
  /** Blocks on their way at once. */
  inFlight: number;
  budget: BlockBudget;
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
  /** SHA-256 of the plain stream in base 16, once all of the disk has been written, from its beginning. */
  readonly sha256: string | null;
  /**
   * Writes the image up to `end` bytes of the disk to a pipe, which stays the caller's. Ends early, without an error,
   * when nobody reads any more: the position tells.
   */
  writeTo(descriptor: number, end: number): Promise<void>;
}

const ZEROS = Buffer.alloc(MiB);

/** To be disposed: blocks that are on their way are given up then. */
export function blockImage(options: BlockImageOptions): BlockImage {
  const state = { position: options.from, sha256: null as string | null };
  const hash = createHash('sha256');
  const ended = new AbortController();
  const source = inOrder(options, AbortSignal.any([options.signal, ended.signal]));
  const next = lookingAhead(source);
  const write = async (descriptor: number, bytes: Uint8Array): Promise<boolean> => {
    if (!(await writeAll(descriptor, bytes))) return false;
    hash.update(bytes);
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
    get sha256() {
      return state.sha256;
    },
    async writeTo(descriptor, end) {
      for (let found = await next(end); found; found = await next(end)) {
        const { index, block } = found;
        const start = index * BLOCK_BYTES;
        const rest = block.bytes.subarray(0, Math.min(BLOCK_BYTES, options.bytes - start));
        if (!(await zerosUpTo(descriptor, start)) || !(await write(descriptor, rest))) return;
        options.onBlock?.(index, block);
      }
      const isWhole = (await zerosUpTo(descriptor, end)) && end === options.bytes && options.from === 0;
      if (isWhole) state.sha256 = hash.digest('hex');
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

/** @returns what gives the next block before `end`, in bytes; one behind it is kept for later. */
function lookingAhead(source: AsyncGenerator<PlacedBlock>): (end: number) => Promise<PlacedBlock | null> {
  let waiting: PlacedBlock | null = null;
  return async (end) => {
    waiting ??= (await source.next()).value ?? null;
    if (!waiting || waiting.index * BLOCK_BYTES >= end) return null;
    const found = waiting;
    waiting = null;
    return found;
  };
}

/** Blocks in ascending order, while those behind them are on their way. */
async function* inOrder(options: BlockImageOptions, signal: AbortSignal): AsyncGenerator<PlacedBlock> {
  const { blocks, snapshotId, inFlight, budget } = options;
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
