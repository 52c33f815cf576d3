/**
 * Finds the starts of the blocks in an lz4 stream. Blocks written by the `lz4` command can be decoded independently.
 */
import type { Place } from '../../../src/archive/file-index.ts';
import { frameOf, HEADER_BYTES, LENGTH_BYTES, LENGTH_MASK } from '../../../src/archive/lz4-frame.ts';

/** Follows a stored stream from block to block without decoding it. The last place is the end of the last block. */
export class Lz4Blocks {
  readonly #onPlace: (place: Place) => void;
  /** The first bytes of an incomplete header or length. */
  #partial = Buffer.alloc(0);
  #position = 0;
  /** Position of the next header or length. */
  #next = 0;
  #plain = 0;
  #blockBytes = 0;
  /** Whether the stream has ended or was not written by the `lz4` command. Then no more places are reported. */
  #isOver = false;

  constructor(onPlace: (place: Place) => void) {
    this.#onPlace = onPlace;
  }

  take(bytes: Buffer): void {
    const end = this.#position + bytes.length;
    while (!this.#isOver) {
      const wanted = this.#next === 0 ? HEADER_BYTES : LENGTH_BYTES;
      const from = Math.max(0, this.#next + this.#partial.length - this.#position);
      if (from >= bytes.length) break;
      this.#partial = Buffer.concat([this.#partial, bytes.subarray(from, from + wanted - this.#partial.length)]);
      if (this.#partial.length < wanted) break;
      this.#step(this.#partial);
      this.#partial = Buffer.alloc(0);
    }
    this.#position = end;
  }

  #step(field: Buffer): void {
    if (this.#next === 0) {
      const frame = frameOf(field);
      this.#blockBytes = frame?.blockBytes ?? 0;
      this.#isOver = frame === null;
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
