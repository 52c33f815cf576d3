/** Indexes an image: one line per run of blocks, with the hash of each block that is not all zeros. */
import { createHash } from 'node:crypto';
import type { BlockIndexWriter } from '../archive/block-index.ts';
import type { ByteStream } from '../archive/byte-stream.ts';

/** The same size as the blocks of snapshots. */
export const IMAGE_BLOCK_BYTES = 512 * 1024;

const ZEROS = Buffer.alloc(IMAGE_BLOCK_BYTES);

export function indexImage(stream: ByteStream, index: BlockIndexWriter): void {
  for (let block = 0; ; block++) {
    const bytes = stream.take(IMAGE_BLOCK_BYTES);
    if (bytes.length === 0) return;
    const isZero = ZEROS.subarray(0, bytes.length).equals(bytes);
    index.block(block, isZero ? null : createHash('sha256').update(bytes).digest('base64'));
  }
}
