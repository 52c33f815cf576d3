/**
 * The memory that the compressing threads share with the thread that reads. The stream is read into slots of one block
 * each. In the indexing stage, the same bytes are also a ring for the indexing thread, so nothing is copied.
 */
import { MAX_BLOCK_BYTES, SINGLE_BLOCK_FRAME_BYTES } from '../archive/lz4-frame.ts';
import { type RingMemory, ringIn } from '../lib/bytes/shared-ring.ts';
import { encodedRoom, TABLE_BYTES } from '../lz4/coder.ts';

/** Plain bytes per block: what must be fetched and decoded to restore one small file. */
export const COMPRESSION_BLOCK_BYTES: number = MAX_BLOCK_BYTES;

const PAGE_BYTES = 65_536;

/** Buffers start at a page boundary, as direct I/O requires. */
const pagesFor = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES);

/** States of a slot. Blocks are numbered from 0, so that fresh memory represents an empty slot for block 0. */
const EMPTY = 0;
/** Plain bytes that are waiting to be compressed. */
export const LOADED = 1;
/** The compressed bytes are available, too. */
export const COMPRESSED = 2;
/** The stream has ended before this slot. This state is stored without a block number. */
const ENDED = 3;

/**
 * The state is stored together with the block number, so that a thread waiting for a later block does not take this
 * one.
 */
const STATES = 4;

/** Fields of a slot: its state, the plain bytes, and the compressed bytes. */
const FIELDS = 3;
const [HELD, PLAIN, STORED] = [0, 1, 2];

export interface BlockMemory {
  memory: WebAssembly.Memory;
  ring: RingMemory;
  /** The fields of all slots, followed by the number of the next block to compress. */
  state: SharedArrayBuffer;
  slots: number;
  threads: number;
}

/** @param threads number of compressing threads. */
export function newBlockMemory(threads: number): BlockMemory {
  // A power of two, as the ring requires: one block for each thread, and as many that are being read or written.
  const slots = 2 ** Math.ceil(Math.log2(2 * threads));
  const pages =
    FIRST_PAGE + pagesFor(threads * TABLE_BYTES) + slots * (pagesFor(COMPRESSION_BLOCK_BYTES) + STORED_PAGES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const plain = {
    start: plainStart(threads),
    size: slots * COMPRESSION_BLOCK_BYTES,
    maxChunk: COMPRESSION_BLOCK_BYTES,
  };
  const state = new SharedArrayBuffer((slots * FIELDS + 1) * Int32Array.BYTES_PER_ELEMENT);
  return { memory, ring: ringIn(memory.buffer, plain), state, slots, threads };
}

/** The first page is not used, so that no address is 0. */
const FIRST_PAGE = 1;

const STORED_PAGES = pagesFor(encodedRoom(COMPRESSION_BLOCK_BYTES) + SINGLE_BLOCK_FRAME_BYTES);

const plainStart = (threads: number): number => (FIRST_PAGE + pagesFor(threads * TABLE_BYTES)) * PAGE_BYTES;

/** The memory as one thread sees it. Blocks are numbered from 0. Addresses and lengths are in bytes. */
export class SharedBlocks {
  readonly slots: number;
  readonly #bytes: SharedArrayBuffer;
  readonly #state: Int32Array;
  readonly #plainStart: number;
  readonly #storedStart: number;

  constructor({ memory, state, slots, threads }: BlockMemory) {
    this.slots = slots;
    this.#bytes = memory.buffer;
    this.#state = new Int32Array(state);
    this.#plainStart = plainStart(threads);
    this.#storedStart = this.#plainStart + slots * COMPRESSION_BLOCK_BYTES;
  }

  /** @param thread numbered from 0. */
  static tableAt = (thread: number): number => FIRST_PAGE * PAGE_BYTES + thread * TABLE_BYTES;

  plainAt = (block: number): number => this.#plainStart + (block % this.slots) * COMPRESSION_BLOCK_BYTES;
  storedAt = (block: number): number => this.#storedStart + (block % this.slots) * STORED_PAGES * PAGE_BYTES;

  plain = (block: number): Buffer => Buffer.from(this.#bytes, this.plainAt(block), this.#get(block, PLAIN));

  /** The buffer for the plain bytes. */
  plainRoom = (block: number): Buffer => Buffer.from(this.#bytes, this.plainAt(block), COMPRESSION_BLOCK_BYTES);

  /** The buffer for the compressed bytes. */
  storedRoom = (block: number): Buffer => Buffer.from(this.#bytes, this.storedAt(block), STORED_PAGES * PAGE_BYTES);

  /** @returns the compressed bytes; `null` if the block cannot be compressed. */
  stored(block: number): Buffer | null {
    const length = this.#get(block, STORED);
    return length === 0 ? null : Buffer.from(this.#bytes, this.storedAt(block), length);
  }

  /** @returns whether the slot holds this block in this state. */
  holds = (block: number, state: number): boolean => this.#held(block) === block * STATES + state;

  load(block: number, plainBytes: number): void {
    this.#set(block, PLAIN, plainBytes);
    this.#put(block, LOADED);
  }

  /** @param storedBytes 0 if the block cannot be compressed. */
  putCompressed(block: number, storedBytes: number): void {
    this.#set(block, STORED, storedBytes);
    this.#put(block, COMPRESSED);
  }

  empty(block: number): void {
    this.#put(block, EMPTY);
  }

  /** Releases the threads that wait for a block. Blocks that are not empty are lost. */
  end(): void {
    for (let slot = 0; slot < this.slots; slot++) this.#put(slot, ENDED);
  }

  /** @returns the number of the next block. No other thread gets the same one. */
  takeNext = (): number => Atomics.add(this.#state, this.slots * FIELDS, 1);

  /** Waits until the slot holds this block in this state. @returns `false` if the stream ends first. */
  wait(block: number, state: number): boolean {
    for (let held = this.#held(block); !this.holds(block, state); held = this.#held(block)) {
      if (held === ENDED) return false;
      Atomics.wait(this.#state, this.#field(block, HELD), held);
    }
    return true;
  }

  /** Does the same for a thread that must not block. */
  async waitAsync(block: number, state: number): Promise<boolean> {
    for (let held = this.#held(block); !this.holds(block, state); held = this.#held(block)) {
      if (held === ENDED) return false;
      await Atomics.waitAsync(this.#state, this.#field(block, HELD), held).value;
    }
    return true;
  }

  #held = (block: number): number => Atomics.load(this.#state, this.#field(block, HELD));

  #put(block: number, state: number): void {
    Atomics.store(this.#state, this.#field(block, HELD), state === ENDED ? ENDED : block * STATES + state);
    Atomics.notify(this.#state, this.#field(block, HELD));
  }

  #get = (block: number, field: number): number => Atomics.load(this.#state, this.#field(block, field));

  #set(block: number, field: number, value: number): void {
    Atomics.store(this.#state, this.#field(block, field), value);
  }

  #field = (block: number, field: number): number => (block % this.slots) * FIELDS + field;
}
