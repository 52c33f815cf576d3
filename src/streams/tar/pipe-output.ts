/** Writes to a pipe in large chunks, because small writes would wake the reader for every header and small file. */
import { writeWhole } from '../../lib/bytes/write-whole.ts';

const CHUNK_BYTES = 256 * 1024;

export class PipeOutput {
  readonly #descriptor: number;
  readonly #pending = Buffer.allocUnsafe(CHUNK_BYTES);
  #filled = 0;
  /** The reader itself reports why it ended. The writer continues, because other code depends on it. */
  #isReaderGone = false;

  /** @param descriptor the write end of the pipe. The caller closes it. */
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Writes bytes, or copies them to write them later. */
  write(bytes: Buffer): void {
    if (this.#filled + bytes.length > CHUNK_BYTES) this.flush();
    if (bytes.length < CHUNK_BYTES) this.#filled += bytes.copy(this.#pending, this.#filled);
    else this.#send(bytes);
  }

  /** Writes everything that is left. */
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
