/** An image stream against the hashes of its blocks. */
import { createHash } from 'node:crypto';
import { BLOCK_KIND, type BlockTable, HASH_BYTES } from '../archive/block-table.ts';
import type { ByteStream } from '../archive/byte-stream.ts';
import { DifferenceList } from './difference.ts';
import type { ImageFindings } from './image-with-device.ts';

/** Reports the first difference only, as where an image is compared with a disk. */
export function compareImageWithBlocks(stream: ByteStream, table: BlockTable): ImageFindings {
  const differences = new DifferenceList();
  const { kinds, blockBytes } = table;
  const zeros = Buffer.alloc(blockBytes);
  for (const [index, kind] of kinds.entries()) {
    const expected =
      kind === BLOCK_KIND.data ? table.hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES) : null;
    const isRight = takeBlock(stream, blockBytes, kind, expected, zeros);
    if (isRight) continue;
    const start = index * blockBytes;
    const isShort = stream.position < start + blockBytes;
    if (isShort) differences.add('size', '', `the image ends at byte ${stream.position}, the disk did not`);
    else differences.add('content', '', `the first difference is in the block at byte ${start}`);
    break;
  }
  if (differences.count === 0 && stream.some(1).length > 0)
    differences.add('size', '', 'the image is longer than the disk');
  return { differences, contentBytes: stream.position };
}

/** @returns whether the next block is as long as it must be, and is what it must be. */
function takeBlock(
  stream: ByteStream,
  length: number,
  kind: number,
  expected: Uint8Array | null,
  zeros: Buffer,
): boolean {
  const hash = expected ? createHash('sha256') : null;
  let isZero = true;
  for (let rest = length; rest > 0; ) {
    const bytes = stream.some(rest);
    if (bytes.length === 0) return false;
    hash?.update(bytes);
    if (kind === BLOCK_KIND.zero) isZero &&= bytes.equals(zeros.subarray(0, bytes.length));
    rest -= bytes.length;
  }
  return expected && hash ? hash.digest().equals(expected) : kind !== BLOCK_KIND.zero || isZero;
}
