/**
 * Blocks of lz4 on their way from the thread that reads them to the one that compares. Either decodes what the other has
 * not begun: so both are busy, whichever of reading, decoding and comparing takes longest.
 */
import { MAX_BLOCK_BYTES } from '../../archive/lz4-frame.ts';
import { STRIPE_BYTES } from '../../lib/bytes/xxh32.ts';
import { Lz4Coder } from '../../lz4/coder.ts';

export const SLOTS = 4;

/** No block lies in the first page, so that no address of one is 0. */
const WASM_PAGE_BYTES = 65_536;

/** In the first page. */
const STRIPE_AT = 1024;

/** What a slot holds. */
export const EMPTY = 0;
/** A block as it is stored. */
const LOADED = 1;
/** The same, and somebody decodes it. */
const TAKEN = 2;
/** Plain bytes. */
export const READY = 3;
/** The end of the stream, or of what can be read of it. */
export const ENDED = 4;
/** A block that cannot be decoded. */
export const BROKEN = 5;
/** The end of a frame, and the checksum of what was in it. */
export const FRAME_ENDED = 6;

/** For each slot: what it holds, and of a block bytes that are stored, plain bytes, and how many these may be. */
const FIELDS = 4;
const [HELD, STORED, PLAIN, MAX_PLAIN] = [0, 1, 2, 3];

/** Of the end of a frame: whether there is a checksum, and that. */
const [HAS_CHECKSUM, CHECKSUM] = [STORED, PLAIN];

/** Behind them: whether nobody takes any more. */
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

/** As one thread sees it. Blocks are counted from 0; four at a time have a slot. */
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

  /** Wakes whoever waits for it. */
  put(block: number, state: number): void {
    this.#set(block, HELD, state);
    Atomics.notify(this.#state, this.#field(block, HELD));
  }

  /** Waits until it holds something else. */
  wait(block: number, seen: number): void {
    Atomics.wait(this.#state, this.#field(block, HELD), seen);
  }

  /** Where a block comes as it is stored. */
  stored(block: number): Buffer {
    return Buffer.from(this.#bytes, this.#place(block), MAX_BLOCK_BYTES);
  }

  plain(block: number): Buffer {
    return Buffer.from(this.#bytes, this.plainAt(block), this.#get(block, PLAIN));
  }

  plainAt = (block: number): number => this.#place(block) + MAX_BLOCK_BYTES;

  /** The stored bytes of a block are there. */
  putStored(block: number, length: number, maxPlain: number): void {
    this.#set(block, STORED, length);
    this.#set(block, MAX_PLAIN, maxPlain);
    this.put(block, LOADED);
  }

  /** It takes the place of a block. */
  putFrameEnd(block: number, checksum: number | null): void {
    this.#set(block, HAS_CHECKSUM, checksum === null ? 0 : 1);
    this.#set(block, CHECKSUM, checksum ?? 0);
    this.put(block, FRAME_ENDED);
  }

  /** What is stored behind the blocks of a frame that has ended there, if anything is. */
  checksum(block: number): number | null {
    return this.#get(block, HAS_CHECKSUM) === 1 ? this.#get(block, CHECKSUM) >>> 0 : null;
  }

  /** A block that is not compressed is put where plain bytes belong. */
  plainRoom(block: number, length: number): Buffer {
    this.#set(block, PLAIN, length);
    return this.plain(block);
  }

  /** The first of these blocks that waits for it is decoded. @returns whether there was one. */
  decodeOne(from: number, to: number): boolean {
    for (let block = from; block < to; block++) {
      if (Atomics.compareExchange(this.#state, this.#field(block, HELD), LOADED, TAKEN) !== LOADED) continue;
      this.#decode(block);
      return true;
    }
    return false;
  }

  #decode(block: number): void {
    const [length, most] = [this.#get(block, STORED), this.#get(block, MAX_PLAIN)];
    const plain = this.coder.decode(this.#place(block), length, this.plainAt(block), most) ?? 0;
    this.#set(block, PLAIN, plain);
    // Nobody writes a block of nothing.
    this.put(block, plain === 0 ? BROKEN : READY);
  }

  get isAbandoned(): boolean {
    return Atomics.load(this.#state, IS_ABANDONED) === 1;
  }

  /** Nothing will be taken any more: whoever fills it need not wait. */
  abandon(): void {
    Atomics.store(this.#state, IS_ABANDONED, 1);
    for (let slot = 0; slot < SLOTS; slot++) this.put(slot, EMPTY);
  }

  /** Room for a stripe of the checksum that lies in two blocks. */
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
