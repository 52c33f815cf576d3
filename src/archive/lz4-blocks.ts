/**
 * Where the blocks of an lz4 stream begin. Each block that the `lz4` command writes can be decoded by itself.
 */
import type { Place } from './file-index.ts';
import { frameOf, HEADER_BYTES, LENGTH_BYTES, LENGTH_MASK } from './lz4-frame.ts';

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
