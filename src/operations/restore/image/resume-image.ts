/** An image whose writing broke off: what is written already is held against the index, and only the rest is fetched. */
import { open } from 'node:fs/promises';
import { type BlockTable, isBlock } from '../../../archive/block-table.ts';
import type { ImagePlan, Segment } from './plan-image.ts';

/**
 * @param path of a file or device that may hold a part of the image, or anything else.
 * @returns the rest of the segment: pieces before it are as they must be.
 * @throws the signal's reason.
 */
export async function restOf(plan: ImagePlan, segment: Segment, path: string, signal: AbortSignal): Promise<Segment> {
  const written = await firstWrong(path, plan.table, plan.blockAt(segment.first), plan.blockAt(segment.end), signal);
  return plan.behind(segment, written);
}

const BLOCKS_PER_READ = 16;

/** @returns the first block that is not known to be right, or `to`. */
async function firstWrong(path: string, table: BlockTable, from: number, to: number, signal: AbortSignal) {
  const { blockBytes, bytes } = table;
  await using file = await open(path, 'r');
  const buffer = Buffer.alloc(BLOCKS_PER_READ * blockBytes);
  const zeros = Buffer.alloc(blockBytes);
  for (let first = from; first < to; first += BLOCKS_PER_READ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, buffer.length, first * blockBytes);
    for (let index = first; index < Math.min(to, first + BLOCKS_PER_READ); index++) {
      const at = (index - first) * blockBytes;
      const length = Math.min(blockBytes, bytes - index * blockBytes);
      const isThere = at + length <= bytesRead;
      if (!isThere || !isBlock(buffer.subarray(at, at + length), index, table, zeros)) return index;
    }
  }
  return to;
}
