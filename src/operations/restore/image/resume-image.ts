/** Resumes an interrupted restore of an image: compares the written blocks with the index, and finds the rest. */
import { type BlockTable, isBlock } from '../../../archive/block-table.ts';
import { type BlockRange, ImageBlocks } from './image-blocks.ts';
import type { ImagePlan, PieceRange } from './plan-image.ts';

/**
 * @param path a file or device that may contain a part of the image, or other data.
 * @param onBytes is called with the length of each part of the image that was compared.
 * @returns the rest of the segment; all pieces before it are verified.
 * @throws the reason of the signal.
 */
export async function restOf(
  plan: ImagePlan,
  segment: PieceRange,
  path: string,
  signal: AbortSignal,
  onBytes: (count: number) => void = () => {},
): Promise<PieceRange> {
  const { table } = plan;
  await using written = await ImageBlocks.open(path, table, signal);
  const range = { first: plan.blockAt(segment.first), end: plan.blockAt(segment.end) };
  return plan.after(segment, await firstMismatch(written, table, range, onBytes));
}

/** @returns the index of the first block that does not match the index, or the end of the range. */
export async function firstMismatch(
  written: ImageBlocks,
  table: BlockTable,
  range: BlockRange,
  onBytes: (count: number) => void,
): Promise<number> {
  const { blockBytes, bytes } = table;
  const zeros = Buffer.alloc(blockBytes);
  let [found, compared] = [range.end, range.first];
  await written.visit(range, (block, index) => {
    const isComplete = block.length === Math.min(blockBytes, bytes - index * blockBytes);
    if (!isComplete || !isBlock(block, index, table, zeros)) {
      found = index;
      return false;
    }
    onBytes(Math.min((index + 1) * blockBytes, bytes) - compared * blockBytes);
    compared = index + 1;
    return true;
  });
  return found;
}
