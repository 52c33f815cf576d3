/** Where the bytes go that have been indexed. */
import { writeWhole } from '../lib/bytes/write-whole.ts';

export interface StreamWriter {
  /** Bytes written so far. */
  readonly passedBytes: number;
  /** Waits until bytes can be taken. @returns how many may be read in one call. */
  room(): Promise<number>;
  /** Takes bytes that have just been read; they are not needed afterwards. */
  put(bytes: Buffer): Promise<void>;
  /** Writes what has not been written yet. */
  end(): Promise<void>;
}

/** Passes the stream on as it is, for a compressor that is a process of its own. */
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
