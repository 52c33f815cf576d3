/** Decides how much of a disk is fetched ahead: nothing, unless a range is read from one end to the other. */
import { MiB } from '../lib/units.ts';

interface Stream {
  /** Where the last read ended, in bytes. */
  end: number;
  /** Bytes that were read in sequence. */
  length: number;
}

/** Files are read while metadata are read between their parts, so several sequences are followed. */
const MAX_STREAMS = 8;

/** A sequence that is shorter, in bytes, may be over soon. */
const MIN_LENGTH = 2 * MiB;

const MAX_AHEAD = 32 * MiB;

/** The kernel does not send its requests in order. */
const TOLERANCE = 2 * MiB;

export class ReadAhead {
  #streams: Stream[] = [];

  /** @returns the range to fetch ahead after this one was read, in bytes; `null` for none. */
  after(offset: number, length: number): { from: number; to: number } | null {
    const end = offset + length;
    const followed = this.#streams.find((stream) => Math.abs(offset - stream.end) <= TOLERANCE && end > stream.end);
    const stream = { end, length: followed ? followed.length + end - followed.end : length };
    this.#streams = [stream, ...this.#streams.filter((other) => other !== followed)].slice(0, MAX_STREAMS);
    if (stream.length < MIN_LENGTH) return null;
    return { from: end, to: end + Math.min(stream.length, MAX_AHEAD) };
  }
}
