/** The destinations of the indexed bytes. */
import { writeWhole } from '../lib/bytes/write-whole.ts';

export interface StreamWriter {
  /** Bytes written so far. */
  readonly passedBytes: number;
  /** Waits until bytes can be taken. @returns the maximum number of bytes to read in one call */
  room(): Promise<number>;
  /** Takes bytes that have just been read. They are not needed afterwards. */
  put(bytes: Buffer): Promise<void>;
  /** Writes everything that is left. */
  end(): Promise<void>;
}

/** Passes the stream on unchanged, for a compressor in a separate process. */
export class PlainWriter implements StreamWriter {
  readonly #descriptor: number;
  passedBytes = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  async room(): Promise<number> {
    return Number.POSITIVE_INFINITY;
  }

  async put(bytes: Buffer): Promise<void> {
    writeWhole(this.#descriptor, bytes);
    this.passedBytes += bytes.length;
  }

  async end(): Promise<void> {}
}
