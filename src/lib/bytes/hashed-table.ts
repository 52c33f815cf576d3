/** Maps strings to numbers, and stores only the hashes of the strings. */
import { hash, randomBytes } from 'node:crypto';

const FIRST_SLOTS = 1024;

/** Beyond this load factor, the number of slots is doubled. */
const MAX_FILLED = 0.7;

/** Words of 32 bits for the hash at the beginning of a slot. Both are 0 if the slot is empty. */
const HASH_WORDS = 2;

/**
 * Takes memory outside of the JavaScript heap, however long the strings are: 12 to 23 bytes per string, and 6 to 12 more
 * for each word of its value. Strings are compared by 64 bits of a hash with a random key per process. Nobody can
 * construct a collision, and among ten million strings one occurs by chance once in 300,000 runs.
 */
export class HashedTable {
  readonly #key = randomBytes(32);
  /** Words of 32 bits per slot. */
  readonly #width: number;
  #slots: Uint32Array;
  #size = 0;

  /** @param words number of 32-bit words that are stored for each string. */
  constructor(words: number) {
    this.#width = HASH_WORDS + words;
    this.#slots = new Uint32Array(this.#width * FIRST_SLOTS);
  }

  /** @returns the words of a string; `null` if it was not added. */
  get(text: string): Uint32Array | null {
    const [low, high] = this.#hash(text);
    const at = this.#place(low, high);
    return this.#slots[at] === 0 ? null : this.#slots.subarray(at + HASH_WORDS, at + this.#width);
  }

  /** Does nothing if the string was added before. */
  add(text: string, words: readonly number[]): void {
    const [low, high] = this.#hash(text);
    const at = this.#place(low, high);
    if (this.#slots[at] !== 0) return;
    this.#slots.set([low, high, ...words], at);
    this.#size++;
    if (this.#size > (this.#slots.length / this.#width) * MAX_FILLED) this.#grow();
  }

  /** The first number is never 0, because 0 marks an empty slot. */
  #hash(text: string): [number, number] {
    const digest = hash('sha256', Buffer.concat([this.#key, Buffer.from(text)]), 'buffer');
    return [digest.readUInt32LE(0) || 1, digest.readUInt32LE(4)];
  }

  /** Returns the position of this hash, or the empty slot where it belongs. */
  #place(low: number, high: number): number {
    const slots = this.#slots;
    const width = this.#width;
    const count = slots.length / width;
    // The number of slots is a power of two.
    let slot = high & (count - 1);
    while (slots[slot * width] !== 0 && (slots[slot * width] !== low || slots[slot * width + 1] !== high))
      slot = (slot + 1) & (count - 1);
    return slot * width;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(2 * before.length);
    for (let at = 0; at < before.length; at += this.#width) {
      const slot = before.subarray(at, at + this.#width);
      const [low = 0, high = 0] = slot;
      if (low !== 0) this.#slots.set(slot, this.#place(low, high));
    }
  }
}
