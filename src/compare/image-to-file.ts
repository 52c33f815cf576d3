/** An image stream written where it is wanted, and held against the hashes of its blocks on the way. */
import { closeSync, constants, fsyncSync, ftruncateSync, openSync } from 'node:fs';
import type { BlockTable } from '../archive/block-table.ts';
import type { ByteStream } from '../archive/byte-stream.ts';
import { writeWhole } from '../lib/write-whole.ts';
import { takeBlocks } from './image-with-blocks.ts';
import type { ImageFindings } from './image-with-device.ts';

export interface ImageTarget {
  /** A file or a block device, which must be there. */
  path: string;
  /** Whether what is not written reads as zero: then zeros are left out, and a file stays sparse. */
  isBlank: boolean;
  /** `null` where the archive has no index. */
  table: BlockTable | null;
  /** With which the stream begins: what is before it is there already. */
  firstBlock: number;
}

const DEFAULT_BLOCK = 512 * 1024;

/** Nothing is written from the first difference on. */
export function writeImage(stream: ByteStream, { path, isBlank, table, firstBlock }: ImageTarget): ImageFindings {
  const blockBytes = table?.blockBytes ?? DEFAULT_BLOCK;
  const zeros = Buffer.alloc(blockBytes);
  // Nobody can mount a device that is held exclusively.
  const descriptor = openSync(path, isBlank ? constants.O_RDWR : constants.O_RDWR | constants.O_EXCL);
  try {
    const found = takeBlocks(stream, table, { blockBytes, firstBlock }, (bytes, position) => {
      if (!isBlank || !bytes.equals(zeros.subarray(0, bytes.length))) writeWhole(descriptor, bytes, position);
    });
    if (isBlank) ftruncateSync(descriptor, found.contentBytes);
    fsyncSync(descriptor);
    return found;
  } finally {
    closeSync(descriptor);
  }
}
