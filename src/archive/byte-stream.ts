/** A stream of bytes, read forward and synchronously: for a thread that has nothing else to do. */

/** @returns the next bytes, which stay as they are until the next call; none at the end, where it is asked no more. */
export type NextChunk = () => Buffer;

export class ByteStream {
  readonly #nextChunk: NextChunk;
  /** What is left of the chunk whose turn it is. */
  #rest: Buffer = Buffer.alloc(0);
  #isAtEnd = false;
  /** Bytes taken so far. */
  position = 0;

  constructor(nextChunk: NextChunk) {
    this.#nextChunk = nextChunk;
  }

  /** @returns exactly so many bytes, or fewer at the end; valid until the next call. */
  take(length: number): Buffer {
    const first = this.some(length);
    return first.length === length || first.length === 0 ? first : this.#gather(first, length);
  }

  /** @returns at least one byte and at most so many, or none at the end; valid until the next call. */
  some(most: number): Buffer {
    if (this.#rest.length === 0) this.#advance();
    const bytes = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(bytes.length);
    this.position += bytes.length;
    return bytes;
  }

  skip(length: number): void {
    for (let rest = length; rest > 0; ) {
      const bytes = this.some(rest);
      if (bytes.length === 0) return;
      rest -= bytes.length;
    }
  }

  /** What lies in several chunks is put together. */
  #gather(first: Buffer, length: number): Buffer {
    const pieces = [Buffer.from(first)];
    for (let missing = length - first.length; missing > 0; ) {
      const piece = this.some(missing);
      if (piece.length === 0) break;
      pieces.push(Buffer.from(piece));
      missing -= piece.length;
    }
    return Buffer.concat(pieces);
  }

  #advance(): void {
    if (this.#isAtEnd) return;
    this.#rest = this.#nextChunk();
    this.#isAtEnd = this.#rest.length === 0;
  }
}
