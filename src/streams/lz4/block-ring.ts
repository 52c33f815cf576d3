/**
 * A ring of lz4 blocks between the reading and the comparing thread. Each of them decodes blocks that the other has not
 * started, so both are busy, whichever of reading, decoding and comparing is slowest.
 */
import { MAX_BLOCK_BYTES } from '../../archive/lz4-frame.ts';
import { STRIPE_BYTES } from '../../lib/bytes/xxh32.ts';
import { Lz4Coder } from '../../lz4/coder.ts';

export const SLOTS = 4;

/** The first page holds no blocks, so that no block has address 0. */
const WASM_PAGE_BYTES = 65_536;

/** Address in the first page. */
const STRIPE_AT = 1024;

/** States of a slot. */
export const EMPTY = 0;
/** A stored block that has not been decoded. */
const LOADED = 1;
/** A stored block that a thread is decoding. */
const TAKEN = 2;
/** Plain bytes. */
export const READY = 3;
/** The end of the stream, or of its readable part. */
export const ENDED = 4;
/** A block that cannot be decoded. */
export const BROKEN = 5;
/** The end of a frame, with the checksum of its content. */
export const FRAME_ENDED = 6;

/**
 * Fields of a slot: its state and, if it holds a block, its stored bytes, its plain bytes, and the maximum of its plain
 * bytes.
 */
const FIELDS = 4;
const [HELD, STORED, PLAIN, MAX_PLAIN] = [0, 1, 2, 3];

/** Fields at the end of a frame: whether it has a checksum, and the checksum. */
const [HAS_CHECKSUM, CHECKSUM] = [STORED, PLAIN];

/** The last field: whether the other thread has stopped taking blocks. */
const IS_ABANDONED = SLOTS * FIELDS;
const PLACES = IS_ABANDONED + 1;

export interface BlockRingMemory {
  memory: WebAssembly.Memory;
  state: SharedArrayBuffer;
}

export function newBlockRing(): BlockRingMemory {
  const pages = 1 + (SLOTS * 2 * MAX_BLOCK_BYTES) / WASM_PAGE_BYTES;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return { memory, state: new SharedArrayBuffer(PLACES * Int32Array.BYTES_PER_ELEMENT) };
}

/** The ring as one thread sees it. Blocks are numbered from 0 and share four slots. */
export class BlockRing {
  readonly coder: Lz4Coder;
  readonly #bytes: ArrayBufferLike;
  readonly #state: Int32Array;

  constructor({ memory, state }: BlockRingMemory) {
    this.coder = new Lz4Coder(memory);
    this.#bytes = memory.buffer;
    this.#state = new Int32Array(state);
  }

  holds(block: number): number {
    return this.#get(block, HELD);
  }

  /** Sets the state of a slot and wakes the thread that waits for it. */
  put(block: number, state: number): void {
    this.#set(block, HELD, state);
    Atomics.notify(this.#state, this.#field(block, HELD));
  }

  /** Waits until the slot has another state than `seen`. */
  wait(block: number, seen: number): void {
    Atomics.wait(this.#state, this.#field(block, HELD), seen);
  }

  /** The memory for the stored bytes of a block. */
  stored(block: number): Buffer {
    return Buffer.from(this.#bytes, this.#place(block), MAX_BLOCK_BYTES);
  }

  plain(block: number): Buffer {
    return Buffer.from(this.#bytes, this.plainAt(block), this.#get(block, PLAIN));
  }

  plainAt = (block: number): number => this.#place(block) + MAX_BLOCK_BYTES;

  /** Marks a stored block as complete. */
  putStored(block: number, length: number, maxPlain: number): void {
    this.#set(block, STORED, length);
    this.#set(block, MAX_PLAIN, maxPlain);
    this.put(block, LOADED);
  }

  /** Puts the end of a frame into the slot of a block. */
  putFrameEnd(block: number, checksum: number | null): void {
    this.#set(block, HAS_CHECKSUM, checksum === null ? 0 : 1);
    this.#set(block, CHECKSUM, checksum ?? 0);
    this.put(block, FRAME_ENDED);
  }

  /** Returns the checksum after the blocks of a frame; `null` if the frame has none. */
  checksum(block: number): number | null {
    return this.#get(block, HAS_CHECKSUM) === 1 ? this.#get(block, CHECKSUM) >>> 0 : null;
  }

  /** Returns the memory for the plain bytes. A block that is not compressed is read directly into it. */
  plainRoom(block: number, length: number): Buffer {
    this.#set(block, PLAIN, length);
    return this.plain(block);
  }

  /** Decodes the first of these blocks that has not been started. @returns whether there was one */
  decodeOne(from: number, to: number): boolean {
    for (let block = from; block < to; block++) {
      if (Atomics.compareExchange(this.#state, this.#field(block, HELD), LOADED, TAKEN) !== LOADED) continue;
      this.#decode(block);
      return true;
    }
    return false;
  }

  #decode(block: number): void {
    const [length, maximum] = [this.#get(block, STORED), this.#get(block, MAX_PLAIN)];
    const plain = this.coder.decode(this.#place(block), length, this.plainAt(block), maximum) ?? 0;
    this.#set(block, PLAIN, plain);
    // The encoder never writes an empty block.
    this.put(block, plain === 0 ? BROKEN : READY);
  }

  get isAbandoned(): boolean {
    return Atomics.load(this.#state, IS_ABANDONED) === 1;
  }

  /** Stops taking blocks, so that the other thread does not wait for room. */
  abandon(): void {
    Atomics.store(this.#state, IS_ABANDONED, 1);
    for (let slot = 0; slot < SLOTS; slot++) this.put(slot, EMPTY);
  }

  /** Memory for a stripe of the checksum that extends over two blocks. */
  stripe(): { at: number; bytes: Buffer } {
    return { at: STRIPE_AT, bytes: Buffer.from(this.#bytes, STRIPE_AT, STRIPE_BYTES) };
  }

  #get = (block: number, field: number): number => Atomics.load(this.#state, this.#field(block, field));

  #set(block: number, field: number, value: number): void {
    Atomics.store(this.#state, this.#field(block, field), value);
  }

  #field = (block: number, field: number): number => (block % SLOTS) * FIELDS + field;

  #place = (block: number): number => WASM_PAGE_BYTES + (block % SLOTS) * 2 * MAX_BLOCK_BYTES;
}
