/**
 * A snapshot's blocks as one plain stream: the image of the disk.
 *
 * Many blocks are on their way at once, and leave in order; memory is blocks in flight × 512 KiB. What was never
 * written is zero.
 */
import { createHash } from 'node:crypto';
import { BLOCK_BYTES, type BlockRef, type SnapshotBlocks } from '../cloud/blocks.ts';
import { MiB } from '../lib/units.ts';
import type { Governor } from './governor.ts';
import { writeAll } from './pipes.ts';

export interface BlockImageOptions {
  blocks: SnapshotBlocks;
  snapshotId: string;
  /** Length of the disk in bytes. */
  bytes: number;
  /** Blocks on their way at once. */
  inFlight: number;
  governor: Governor;
}

export interface BlockImage {
  /** Bytes of the plain stream that have been written so far. */
  readonly position: number;
  /** SHA-256 of the plain stream in base 16, once all of it has been written. */
  readonly sha256: string | null;
  /**
   * Writes the image to a pipe, which stays the caller's. Ends early, without an error, when nobody reads any more: the
   * position tells.
   */
  writeTo(descriptor: number, signal: AbortSignal): Promise<void>;
}

const ZEROS = Buffer.alloc(MiB);

export function blockImage(options: BlockImageOptions): BlockImage {
  const state = { position: 0, sha256: null as string | null };
  const hash = createHash('sha256');
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
    get position() {
      return state.position;
    },
    get sha256() {
      return state.sha256;
    },
    async writeTo(descriptor, signal) {
      for await (const { index, bytes } of inOrder(options, signal)) {
        const start = index * BLOCK_BYTES;
        const rest = bytes.subarray(0, Math.min(BLOCK_BYTES, options.bytes - start));
        if (!(await zerosUpTo(descriptor, start)) || !(await write(descriptor, rest))) return;
      }
      if (await zerosUpTo(descriptor, options.bytes)) state.sha256 = hash.digest('hex');
    },
  };
}

/** Blocks in ascending order, while those behind them are on their way. */
async function* inOrder(options: BlockImageOptions, signal: AbortSignal) {
  const { blocks, snapshotId, inFlight, governor } = options;
  const ended = new AbortController();
  const call = { signal: AbortSignal.any([signal, ended.signal]) };
  const underWay: { index: number; bytes: Promise<Uint8Array> }[] = [];
  const start = async (block: BlockRef) => {
    await governor.turn(call.signal);
    const bytes = blocks.read(snapshotId, block, call);
    bytes.catch(() => {});
    underWay.push({ index: block.index, bytes });
  };
  const take = async () => {
    const first = underWay.shift();
    return first && { index: first.index, bytes: await first.bytes };
  };
  try {
    for await (const block of blocks.list(snapshotId, 0, call)) {
      await start(block);
      const first = underWay.length >= inFlight ? await take() : undefined;
      if (first) yield first;
    }
    for (let first = await take(); first; first = await take()) yield first;
  } finally {
    ended.abort(new Error('reading blocks has ended'));
    await Promise.allSettled(underWay.map(({ bytes }) => bytes));
  }
}
