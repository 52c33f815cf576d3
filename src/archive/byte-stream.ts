/** A synchronous, forward-only byte stream for threads that have nothing else to do. */

/**
 * Returns the next bytes, which stay valid until the next call. At the end it returns an empty buffer and is not called
 * again.
 */
export type NextChunk = () => Buffer;

export class ByteStream {
  readonly #nextChunk: NextChunk;
  /** The rest of the current chunk. */
  #rest: Buffer = Buffer.alloc(0);
  #isAtEnd = false;
  /** Bytes taken so far. */
  position = 0;

  constructor(nextChunk: NextChunk) {
    this.#nextChunk = nextChunk;
  }

  /** @returns exactly `length` bytes, or fewer at the end. They stay valid until the next call. */
  take(length: number): Buffer {
    const first = this.some(length);
    return first.length === length || first.length === 0 ? first : this.#gather(first, length);
  }

  /** @returns between one and `maximum` bytes, or none at the end. They stay valid until the next call. */
  some(maximum: number): Buffer {
    if (this.#rest.length === 0) this.#advance();
    const bytes = this.#rest.subarray(0, maximum);
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

  /** Joins bytes from several chunks. */
  #gather(first: Buffer, length: number): Buffer {
    const chunks = [Buffer.from(first)];
    for (let missing = length - first.length; missing > 0; ) {
      const chunk = this.some(missing);
      if (chunk.length === 0) break;
      chunks.push(Buffer.from(chunk));
      missing -= chunk.length;
    }
    return Buffer.concat(chunks);
  }

  #advance(): void {
    if (this.#isAtEnd) return;
    this.#rest = this.#nextChunk();
    this.#isAtEnd = this.#rest.length === 0;
  }
}
