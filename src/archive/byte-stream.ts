/** A stream of bytes, read forward and synchronously: for a thread that has nothing else to do. */

/** Fills the buffer from its start. @returns how many bytes came; 0 at the end. */
export type ReadSome = (target: Buffer) => number;

const WINDOW = 1024 * 1024;

export class ByteStream {
  readonly #readSome: ReadSome;
  #window = Buffer.allocUnsafeSlow(WINDOW);
  #start = 0;
  #end = 0;
  /** Bytes taken so far. */
  position = 0;

  constructor(readSome: ReadSome) {
    this.#readSome = readSome;
  }

  /** @returns exactly so many bytes, or fewer at the end; valid until the next call. */
  take(length: number): Buffer {
    if (length > this.#window.length) return this.#takeMany(length);
    if (this.#end - this.#start < length) this.#fill(length);
    const bytes = this.#window.subarray(this.#start, Math.min(this.#start + length, this.#end));
    this.#start += bytes.length;
    this.position += bytes.length;
    return bytes;
  }

  /** @returns at least one byte and at most so many, or none at the end; valid until the next call. */
  some(most: number): Buffer {
    if (this.#start === this.#end) this.#fill(1);
    return this.take(Math.min(most, this.#end - this.#start));
  }

  skip(length: number): void {
    for (let rest = length; rest > 0; ) {
      const bytes = this.some(rest);
      if (bytes.length === 0) return;
      rest -= bytes.length;
    }
  }

  #takeMany(length: number): Buffer {
    const pieces: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      const piece = this.some(missing);
      if (piece.length === 0) break;
      pieces.push(Buffer.from(piece));
      missing -= piece.length;
    }
    return Buffer.concat(pieces);
  }

  /** Makes so many bytes lie together, as far as there are. */
  #fill(wanted: number): void {
    this.#window.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    while (this.#end < wanted) {
      const target = this.#window.subarray(this.#end);
      const length = this.#readSome(target);
      if (length === 0) return;
      this.#end += length;
    }
  }
}
