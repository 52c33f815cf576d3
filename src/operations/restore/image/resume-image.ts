/** Resumes an interrupted restore of an image: compares the written blocks with the index, and finds the rest. */
import { open } from 'node:fs/promises';
import { type BlockTable, isBlock } from '../../../archive/block-table.ts';
import type { ImagePlan, PieceRange } from './plan-image.ts';

/**
 * @param path a file or device that may contain a part of the image, or other data.
 * @returns the rest of the segment; all pieces before it are verified.
 * @throws the reason of the signal.
 */
export async function restOf(
  plan: ImagePlan,
  segment: PieceRange,
  path: string,
  signal: AbortSignal,
): Promise<PieceRange> {
  const written = await firstMismatch(path, plan.table, plan.blockAt(segment.first), plan.blockAt(segment.end), signal);
  return plan.after(segment, written);
}

const BLOCKS_PER_READ = 16;

/** @returns the index of the first block that does not match the index, or `to`. */
async function firstMismatch(path: string, table: BlockTable, from: number, to: number, signal: AbortSignal) {
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
      const isComplete = at + length <= bytesRead;
      if (!isComplete || !isBlock(buffer.subarray(at, at + length), index, table, zeros)) return index;
    }
  }
  return to;
}
