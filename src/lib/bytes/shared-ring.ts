/**
 * A byte stream from one thread to another through shared memory.
 *
 * A pipe delivers only a few pages at a time, and a decompressor blocks while nobody reads its output. The writer
 * therefore appends small reads to each other as long as there is room, and wakes the reader only when enough has come.
 */

/** A power of two, so that the byte counters may overflow. Decompressors write this much at a time. */
const RING_BYTES = 4 * 1024 * 1024;

/** Maximum bytes of one read. */
const MAX_CHUNK_BYTES = 1024 * 1024;

/** Bytes that must be available before the reader is woken. Waking a thread costs as much as copying tens of KiB. */
const WAKE_THRESHOLD = 256 * 1024;

/** Indexes into the shared state. Bytes are counted modulo 2 ** 32. */
const FILLED = 0;
const EMPTIED = 1;
const IS_ENDED = 2;
/** Changes each time the reader is woken. */
const CALLS = 3;
const PLACES = 4;

export interface RingMemory {
  bytes: SharedArrayBuffer;
  /** The part of `bytes` that the ring uses, in bytes; its size is a power of two. */
  start: number;
  size: number;
  /** Maximum bytes to read or take in one call. */
  maxChunk: number;
  state: SharedArrayBuffer;
}

/** @param size in bytes, a power of two. */
export const newRing = (size: number = RING_BYTES): RingMemory =>
  ringIn(new SharedArrayBuffer(size), { start: 0, size, maxChunk: MAX_CHUNK_BYTES });

/** Creates a ring in existing memory. */
export const ringIn = (bytes: SharedArrayBuffer, place: Omit<RingMemory, 'bytes' | 'state'>): RingMemory => ({
  bytes,
  ...place,
  state: new SharedArrayBuffer(PLACES * Int32Array.BYTES_PER_ELEMENT),
});

/** Number of bytes from one counter value to a later one. */
const between = (from: number, to: number): number => (to - from) >>> 0;

/** Returns a contiguous part of the ring from position `from` on. It is shorter at the end of the memory. */
function segment({ bytes, start, size, maxChunk }: RingMemory, from: number, maximum: number): Buffer {
  const at = (from >>> 0) % size;
  return Buffer.from(bytes, start + at, Math.min(maximum, maxChunk, size - at));
}

/** The writing side. Only one thread may use it. */
export class RingWriter {
  readonly #memory: RingMemory;
  readonly #state: Int32Array;
  readonly #wakeThreshold: number;
  #filled = 0;
  #announced = 0;

  constructor(memory: RingMemory) {
    this.#memory = memory;
    this.#state = new Int32Array(memory.state);
    this.#wakeThreshold = Math.min(WAKE_THRESHOLD, memory.size / 2);
  }

  /**
   * Waits for room, lets `read` fill it, and passes the bytes on to the reader.
   * @param read puts bytes into the buffer and returns their number; 0 ends the stream.
   * @returns the bytes. They are valid until the next call and must not be changed.
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
    if (length === 0 || between(this.#announced, this.#filled) >= this.#wakeThreshold) this.#wake();
    return target.subarray(0, length);
  }

  /**
   * Waits for room without blocking the thread. The next call of `pass` does not wait.
   * @param broken rejects if the reader is gone.
   */
  async ready(broken: Promise<never>): Promise<void> {
    for (let emptied = this.#emptied(); this.#room(emptied) === 0; emptied = this.#emptied()) {
      await Promise.race([Atomics.waitAsync(this.#state, EMPTIED, emptied).value, broken]);
    }
  }

  #emptied = (): number => Atomics.load(this.#state, EMPTIED);

  #room = (emptied: number): number => this.#memory.size - between(emptied, this.#filled);

  #wake(): void {
    this.#announced = this.#filled;
    Atomics.add(this.#state, CALLS, 1);
    Atomics.notify(this.#state, CALLS);
  }
}

const EMPTY = Buffer.alloc(0);

/** The reading side. Only one thread may use it. */
export class RingReader {
  readonly #memory: RingMemory;
  readonly #state: Int32Array;
  #emptied = 0;
  /** Bytes that the last call of `next` returned. They stay valid until the next call. */
  #held = 0;

  constructor(memory: RingMemory) {
    this.#memory = memory;
    this.#state = new Int32Array(memory.state);
  }

  /**
   * Waits for bytes.
   * @returns bytes that are valid until the next call; none at the end of the stream.
   */
  next(): Buffer {
    this.#release();
    for (;;) {
      const calls = Atomics.load(this.#state, CALLS);
      const isEnded = Atomics.load(this.#state, IS_ENDED) === 1;
      const available = between(this.#emptied, Atomics.load(this.#state, FILLED));
      if (available > 0) return this.#take(available);
      if (isEnded) return EMPTY;
      Atomics.wait(this.#state, CALLS, calls);
    }
  }

  #take(available: number): Buffer {
    const bytes = segment(this.#memory, this.#emptied, available);
    this.#held = bytes.length;
    return bytes;
  }

  #release(): void {
    if (this.#held === 0) return;
    this.#emptied = (this.#emptied + this.#held) | 0;
    this.#held = 0;
    Atomics.store(this.#state, EMPTIED, this.#emptied);
    Atomics.notify(this.#state, EMPTIED);
  }
}
