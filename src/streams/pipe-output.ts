/** What is written to a pipe, in large pieces: headers and small files by themselves would wake the reader for each. */
import { writeWhole } from '../lib/bytes/write-whole.ts';

const CHUNK_BYTES = 256 * 1024;

export class PipeOutput {
  readonly #descriptor: number;
  readonly #pending = Buffer.allocUnsafe(CHUNK_BYTES);
  #filled = 0;
  /** Why it ended says the reader itself; whoever writes goes on, since others depend on that. */
  #isReaderGone = false;

  /** @param descriptor of the write end, which stays the caller's. */
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** The bytes are not needed afterwards. */
  write(bytes: Buffer): void {
    if (this.#filled + bytes.length > CHUNK_BYTES) this.flush();
    if (bytes.length < CHUNK_BYTES) this.#filled += bytes.copy(this.#pending, this.#filled);
    else this.#send(bytes);
  }

  /** Everything is in the pipe then. */
  flush(): void {
    const filled = this.#filled;
    this.#filled = 0;
    this.#send(this.#pending.subarray(0, filled));
  }

  #send(bytes: Buffer): void {
    if (this.#isReaderGone) return;
    try {
      writeWhole(this.#descriptor, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
      this.#isReaderGone = true;
    }
  }
}
