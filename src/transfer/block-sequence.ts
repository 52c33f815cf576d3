/** Reads some of the blocks of a disk one after another, as if they were an image. */
import { BLOCK_BYTES } from '../cloud/blocks.ts';
import { SnapError } from '../errors.ts';
import type { BlockImage, PlacedBlock } from './block-image.ts';

export interface BlockSequenceOptions {
  /** The blocks that must come, by their indexes in ascending order. */
  indexes: Uint32Array;
  /** Size of the disk in bytes. The last block of the disk may be shorter than the others. */
  diskBytes: number;
  /** The blocks, in the same order. */
  source: AsyncGenerator<PlacedBlock>;
  onBlock: (placed: PlacedBlock) => void;
}

/** The length of the sequence in bytes. */
export const sequenceBytes = (indexes: Uint32Array, diskBytes: number): number => {
  const last = indexes.at(-1);
  if (last === undefined) return 0;
  return (indexes.length - 1) * BLOCK_BYTES + Math.min(BLOCK_BYTES, diskBytes - last * BLOCK_BYTES);
};

/**
 * Starts reading. Every read must take exactly one block. Disposing of the sequence ends its source.
 * @throws SnapError `DOWNLOAD_FAILED` on a read if a block does not come.
 */
export function blockSequence({ indexes, diskBytes, source, onBlock }: BlockSequenceOptions): BlockImage {
  let [next, position] = [0, 0];
  return {
    bytes: sequenceBytes(indexes, diskBytes),
    get position() {
      return position;
    },
    async read(buffer) {
      const { value: placed } = await source.next();
      const wanted = indexes[next++];
      if (!placed || placed.index !== wanted) throw missing(wanted);
      buffer.set(placed.block.bytes.subarray(0, buffer.length));
      onBlock(placed);
      placed.release();
      position += buffer.length;
      return true;
    },
    async [Symbol.asyncDispose]() {
      await source.return(undefined).catch(() => {});
    },
  };
}

const missing = (index: number | undefined): SnapError =>
  new SnapError('DOWNLOAD_FAILED', `block ${index} was listed before, but cannot be read now`, {
    hint: 'check that the snapshot still exists, then run the same command again',
  });
