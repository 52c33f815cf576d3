/** Builds the frames around compressed blocks, so that standard decompressors read them as one stream. */
import { contentFrameHeader, FRAME_END, LENGTH_BYTES, UNCOMPRESSED } from '../archive/lz4-frame.ts';
import { finishChecksum, STRIPE_BYTES } from '../lib/bytes/xxh32.ts';
import { Lz4Coder } from '../lz4/coder.ts';
import type { BlockMemory, SharedBlocks } from './block-memory.ts';

export interface BlockFrames {
  /** The bytes before the first block. */
  readonly header: Buffer;
  /** Adds a block of plain bytes to the checksum. Blocks must be added in order. */
  note(block: number, length: number): void;
  /** @returns the bytes to write for a compressed block. */
  chunks(block: number): Buffer[];
  /** @returns the bytes after the last block. */
  end(): Buffer;
}

/** One frame of independent blocks with a content checksum, as `lz4 -1` writes it. */
export class Lz4Frames implements BlockFrames {
  readonly header = contentFrameHeader();
  readonly #blocks: SharedBlocks;
  readonly #coder: Lz4Coder;
  #plainBytes = 0;
  /** Bytes of the last block after its last whole stripe. */
  #rest = Buffer.alloc(0);

  constructor({ memory }: BlockMemory, blocks: SharedBlocks) {
    this.#blocks = blocks;
    this.#coder = new Lz4Coder(memory);
  }

  /** All blocks except the last one consist of whole stripes. */
  note(block: number, length: number): void {
    const at = this.#blocks.plainAt(block);
    this.#coder.mix(at, length);
    this.#plainBytes += length;
    const left = length % STRIPE_BYTES;
    this.#rest = Buffer.from(this.#blocks.plain(block).subarray(length - left, length));
  }

  chunks(block: number): Buffer[] {
    const stored = this.#blocks.stored(block);
    const bytes = stored ?? this.#blocks.plain(block);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(stored ? bytes.length : (bytes.length | UNCOMPRESSED) >>> 0);
    return [length, bytes];
  }

  end(): Buffer {
    const checksum = Buffer.alloc(LENGTH_BYTES);
    checksum.writeUInt32LE(finishChecksum(this.#coder.lanes(), this.#plainBytes, this.#rest));
    return Buffer.concat([FRAME_END, checksum]);
  }
}

/** One frame per block. */
export class ZstdFrames implements BlockFrames {
  readonly header = Buffer.alloc(0);
  readonly #blocks: SharedBlocks;

  constructor(blocks: SharedBlocks) {
    this.#blocks = blocks;
  }

  note(): void {}

  chunks(block: number): Buffer[] {
    const frame = this.#blocks.stored(block);
    return frame ? [frame] : [];
  }

  end = (): Buffer => Buffer.alloc(0);
}
