/** Compares an image stream with the hashes of its blocks. */
import { BLOCK_KIND, type BlockTable, isBlock } from '../archive/block-table.ts';
import type { ByteStream } from '../archive/byte-stream.ts';
import { DifferenceList } from './difference.ts';
import type { ImageFindings } from './image-with-device.ts';

export const compareImageWithBlocks = (stream: ByteStream, table: BlockTable): ImageFindings =>
  takeBlocks(stream, table, { blockBytes: table.blockBytes, from: 0, to: Number.POSITIVE_INFINITY }, () => {});

/** A range of blocks of an image, which may extend beyond the end of the stream. */
export interface BlockCut {
  blockBytes: number;
  from: number;
  to: number;
}

/**
 * Passes blocks on as long as they match the table. It ends at the first block that does not.
 * @param table `null` if nothing is known about the blocks.
 */
export function takeBlocks(
  stream: ByteStream,
  table: BlockTable | null,
  { blockBytes, from, to }: BlockCut,
  onBlock: (bytes: Buffer, position: number) => void,
): ImageFindings {
  const differences = new DifferenceList();
  const zeros = Buffer.alloc(blockBytes);
  let contentBytes = 0;
  for (let index = from; index < to; index++) {
    const bytes = stream.take(blockBytes);
    const position = index * blockBytes;
    const problem = table && findProblem(bytes, index, table, zeros);
    if (problem) differences.add(problem.kind, '', problem.detail(position, bytes.length));
    if (problem || bytes.length === 0) break;
    onBlock(bytes, position);
    contentBytes += bytes.length;
  }
  return { differences, contentBytes };
}

export const LONGER = { kind: 'size', detail: () => 'the image is longer than the disk' } as const;
const SHORTER = {
  kind: 'size',
  detail: (position: number, length: number) =>
    `the image ends at byte ${position + length}, before the end of the disk`,
} as const;
const OTHER = {
  kind: 'content',
  detail: (position: number) => `the first difference is in the block at byte ${position}`,
} as const;

function findProblem(bytes: Buffer, index: number, table: BlockTable, zeros: Buffer) {
  const { kinds, blockBytes } = table;
  const length = Math.min(blockBytes, table.bytes - index * blockBytes);
  if (index >= kinds.length) return bytes.length > 0 ? LONGER : null;
  if (bytes.length !== length) return bytes.length > length ? LONGER : SHORTER;
  return kinds[index] === BLOCK_KIND.unknown || isBlock(bytes, index, table, zeros) ? null : OTHER;
}
