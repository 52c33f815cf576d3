/** A stream of bytes from one thread to another, through memory that both see: slots are filled and emptied in turn. */

const SLOTS = 4;
const SLOT_BYTES = 1024 * 1024;

/** Positions in the shared state; behind them, the number of bytes in each slot. */
const FILLED = 0;
const EMPTIED = 1;
const LENGTHS = 2;

export interface RingMemory {
  slots: SharedArrayBuffer;
  state: SharedArrayBuffer;
}

export const newRing = (): RingMemory => ({
  slots: new SharedArrayBuffer(SLOTS * SLOT_BYTES),
  state: new SharedArrayBuffer((LENGTHS + SLOTS) * Int32Array.BYTES_PER_ELEMENT),
});

const slotAt = ({ slots }: RingMemory, count: number): Buffer =>
  Buffer.from(slots, (count % SLOTS) * SLOT_BYTES, SLOT_BYTES);

/** The one thread that fills. */
export class RingWriter {
  readonly #memory: RingMemory;
  readonly #state: Int32Array;
  #filled = 0;

  constructor(memory: RingMemory) {
    this.#memory = memory;
    this.#state = new Int32Array(memory.state);
  }

  /**
   * Waits for an empty slot and hands over what is put into it.
   * @param read returns how many bytes it has put into the buffer; 0 ends the stream.
   * @returns those bytes; they may be looked at until the next call, and not be changed.
   */
  pass(read: (target: Buffer) => number): Buffer {
    for (let emptied = this.#emptied(); this.#filled - emptied === SLOTS; emptied = this.#emptied()) {
      Atomics.wait(this.#state, EMPTIED, emptied);
    }
    const slot = slotAt(this.#memory, this.#filled);
    const length = read(slot);
    Atomics.store(this.#state, LENGTHS + (this.#filled % SLOTS), length);
    this.#filled++;
    Atomics.store(this.#state, FILLED, this.#filled);
    Atomics.notify(this.#state, FILLED);
    return slot.subarray(0, length);
  }

  /**
   * Waits for an empty slot without blocking, for a thread with other things to do: `pass` does not wait after it.
   * @param broken rejects when the one who empties is gone.
   */
  async ready(broken: Promise<never>): Promise<void> {
    for (let emptied = this.#emptied(); this.#filled - emptied === SLOTS; emptied = this.#emptied()) {
      await Promise.race([Atomics.waitAsync(this.#state, EMPTIED, emptied).value, broken]);
    }
  }

  #emptied = (): number => Atomics.load(this.#state, EMPTIED);
}

const EMPTY = Buffer.alloc(0);

/** The one thread that empties. */
export class RingReader {
  readonly #memory: RingMemory;
  readonly #state: Int32Array;
  #emptied = 0;
  #holdsSlot = false;
  #isAtEnd = false;

  constructor(memory: RingMemory) {
    this.#memory = memory;
    this.#state = new Int32Array(memory.state);
  }

  /** @returns the next bytes, which stay as they are until the next call; none at the end, where it stays. */
  next(): Buffer {
    if (this.#isAtEnd) return EMPTY;
    if (this.#holdsSlot) this.#giveBack();
    while (Atomics.load(this.#state, FILLED) === this.#emptied) Atomics.wait(this.#state, FILLED, this.#emptied);
    this.#holdsSlot = true;
    const length = Atomics.load(this.#state, LENGTHS + (this.#emptied % SLOTS));
    this.#isAtEnd = length === 0;
    return slotAt(this.#memory, this.#emptied).subarray(0, length);
  }

  #giveBack(): void {
    this.#emptied++;
    Atomics.store(this.#state, EMPTIED, this.#emptied);
    Atomics.notify(this.#state, EMPTIED);
  }
}
