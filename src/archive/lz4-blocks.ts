/**
 * Where the blocks of an lz4 stream begin. Each block that the `lz4` command writes can be decoded by itself.
 * Source: "LZ4 Frame Format Description" 1.6.
 */
import type { Place } from './file-index.ts';

/** Plain bytes of a block but the last, by the descriptor of the frame: 4 MiB, or less where all is in one such block. */
const BLOCK_BYTES: Record<number, number> = { 64: 65_536, 80: 262_144, 96: 1_048_576, 112: 4_194_304 };

const MAGIC = 0x184d2204;
const HEADER_BYTES = 7;
const LENGTH_BYTES = 4;

/** Version 1, independent blocks without checksums of their own; one for the content may be there. */
const FLAGS = 0x60;
const CONTENT_CHECKSUM = 0x04;

/** The top bit says that the block is not compressed. */
const LENGTH_MASK = 0x7fffffff;

/** Put in front of a block and `FRAME_END` behind it, a frame: same flags, no checksum of the content. */
export const FRAME_HEADER: Buffer = Buffer.from('04224d18607073', 'hex');
export const FRAME_END: Buffer = Buffer.alloc(LENGTH_BYTES);

/** Follows a stored stream from block to block, without decoding anything; the last place is the end of the last one. */
export class Lz4Blocks {
  readonly #onPlace: (place: Place) => void;
  /** Bytes of a header or a length, of which the rest comes later. */
  #held = Buffer.alloc(0);
  #position = 0;
  /** Where the next header or length begins. */
  #next = 0;
  #plain = 0;
  #blockBytes = 0;
  /** It has ended, or is of another kind than the `lz4` command writes: then nothing is said of it. */
  #isOver = false;

  constructor(onPlace: (place: Place) => void) {
    this.#onPlace = onPlace;
  }

  take(bytes: Buffer): void {
    const end = this.#position + bytes.length;
    while (!this.#isOver) {
      const wanted = this.#next === 0 ? HEADER_BYTES : LENGTH_BYTES;
      const from = Math.max(0, this.#next + this.#held.length - this.#position);
      if (from >= bytes.length) break;
      this.#held = Buffer.concat([this.#held, bytes.subarray(from, from + wanted - this.#held.length)]);
      if (this.#held.length < wanted) break;
      this.#step(this.#held);
      this.#held = Buffer.alloc(0);
    }
    this.#position = end;
  }

  #step(field: Buffer): void {
    if (this.#next === 0) {
      this.#blockBytes = BLOCK_BYTES[field.readUInt8(5)] ?? 0;
      const isKnown = (field.readUInt8(4) & ~CONTENT_CHECKSUM) === FLAGS && this.#blockBytes > 0;
      this.#isOver = field.readUInt32LE(0) !== MAGIC || !isKnown;
      this.#next = HEADER_BYTES;
      return;
    }
    const length = field.readUInt32LE(0) & LENGTH_MASK;
    this.#onPlace({ plain: this.#plain, stored: this.#next });
    this.#isOver = length === 0;
    if (this.#isOver) return;
    this.#next += LENGTH_BYTES + length;
    this.#plain += this.#blockBytes;
  }
}
