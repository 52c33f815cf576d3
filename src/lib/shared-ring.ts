/**
 * A stream of bytes from one thread to another, through memory that both see.
 *
 * A pipe gives a few pages at a time, and a decompressor stands still while nobody takes what it has: so the one who fills
 * puts small reads one behind the other, as far ahead as there is room, and wakes the other only when it is worth it.
 */

/** A power of two, so that counters of bytes may overflow. As much as decompressors write at once. */
const RING_BYTES = 4 * 1024 * 1024;

/** What is read, and taken, at once. */
const MAX_CHUNK_BYTES = 1024 * 1024;

/** Waking a thread costs as much as copying some tens of KiB. */
const WORTH_WAKING = 256 * 1024;

/** Places in the shared state. Bytes are counted modulo 2 ** 32. */
const FILLED = 0;
const EMPTIED = 1;
const IS_ENDED = 2;
/** Changes each time that the one who empties is woken. */
const CALLS = 3;
const PLACES = 4;

export interface RingMemory {
  bytes: SharedArrayBuffer;
  state: SharedArrayBuffer;
}

/** @param size in bytes, a power of two. */
export const newRing = (size: number = RING_BYTES): RingMemory => ({
  bytes: new SharedArrayBuffer(size),
  state: new SharedArrayBuffer(PLACES * Int32Array.BYTES_PER_ELEMENT),
});

/** Bytes from one count to a later one. */
const between = (from: number, to: number): number => (to - from) >>> 0;

/** Up to so many bytes from there on; fewer where the memory ends. */
function segment({ bytes }: RingMemory, from: number, most: number): Buffer {
  const at = (from >>> 0) % bytes.byteLength;
  return Buffer.from(bytes, at, Math.min(most, MAX_CHUNK_BYTES, bytes.byteLength - at));
}

/** The one thread that fills. */
export class RingWriter {
  readonly #memory: RingMemory;
  readonly #state: Int32Array;
  readonly #worthWaking: number;
  #filled = 0;
  #told = 0;

  constructor(memory: RingMemory) {
    this.#memory = memory;
    this.#state = new Int32Array(memory.state);
    this.#worthWaking = Math.min(WORTH_WAKING, memory.bytes.byteLength / 2);
  }

  /**
   * Waits for room and hands over what is put into it.
   * @param read returns how many bytes it has put into the buffer; 0 ends the stream.
   * @returns those bytes; they may be looked at until the next call, and not be changed.
   */
  pass(read: (target: Buffer) => number): Buffer {
    for (let emptied = this.#emptied(); this.#room(emptied) === 0; emptied = this.#emptied()) {
      Atomics.wait(this.#state, EMPTIED, emptied);
    }
    const target = segment(this.#memory, this.#filled, this.#room(this.#emptied()));
    const length = read(target);
    this.#filled = (this.#filled + length) | 0;
    Atomics.store(this.#state, FILLED, this.#filled);
    if (length === 0) Atomics.store(this.#state, IS_ENDED, 1);
    if (length === 0 || between(this.#told, this.#filled) >= this.#worthWaking) this.#wake();
    return target.subarray(0, length);
  }

  /**
   * Waits for room without blocking, for a thread with other things to do: `pass` does not wait after it.
   * @param broken rejects when the one who empties is gone.
   */
  async ready(broken: Promise<never>): Promise<void> {
    for (let emptied = this.#emptied(); this.#room(emptied) === 0; emptied = this.#emptied()) {
      await Promise.race([Atomics.waitAsync(this.#state, EMPTIED, emptied).value, broken]);
    }
  }

  #emptied = (): number => Atomics.load(this.#state, EMPTIED);

  #room = (emptied: number): number => this.#memory.bytes.byteLength - between(emptied, this.#filled);

  #wake(): void {
    this.#told = this.#filled;
    Atomics.add(this.#state, CALLS, 1);
    Atomics.notify(this.#state, CALLS);
  }
}

const EMPTY = Buffer.alloc(0);

/** The one thread that empties. */
export class RingReader {
  readonly #memory: RingMemory;
  readonly #state: Int32Array;
  #emptied = 0;
  /** Bytes that were handed out and are still looked at. */
  #held = 0;

  constructor(memory: RingMemory) {
    this.#memory = memory;
    this.#state = new Int32Array(memory.state);
  }

  /** @returns the next bytes, which stay as they are until the next call; none at the end, where it stays. */
  next(): Buffer {
    this.#giveBack();
    for (;;) {
      const calls = Atomics.load(this.#state, CALLS);
      const isEnded = Atomics.load(this.#state, IS_ENDED) === 1;
      const there = between(this.#emptied, Atomics.load(this.#state, FILLED));
      if (there > 0) return this.#take(there);
      if (isEnded) return EMPTY;
      Atomics.wait(this.#state, CALLS, calls);
    }
  }

  #take(there: number): Buffer {
    const bytes = segment(this.#memory, this.#emptied, there);
    this.#held = bytes.length;
    return bytes;
  }

  #giveBack(): void {
    if (this.#held === 0) return;
    this.#emptied = (this.#emptied + this.#held) | 0;
    this.#held = 0;
    Atomics.store(this.#state, EMPTIED, this.#emptied);
    Atomics.notify(this.#state, EMPTIED);
  }
}
