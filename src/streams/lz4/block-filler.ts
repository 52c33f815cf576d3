/** The thread that reads a stored stream: it puts its blocks into the ring, and decodes those that nobody else has begun. */
import { frameOf, HEADER_BYTES, LENGTH_BYTES, LENGTH_MASK, type Lz4Frame } from '../../archive/lz4-frame.ts';
import { type BlockRing, EMPTY, ENDED, READY, SLOTS } from './block-ring.ts';

/** Reads up to so many bytes; 0 at the end. */
export type ReadSome = (target: Buffer) => number;

export interface FilledRing {
  /** There is a frame that cannot be decoded here, which says nothing of whether others can. */
  isForeign: boolean;
  /** Why there was no more to decode, if that was not the end. */
  problem: string | null;
}

class Unreadable extends Error {}

/** Blocks that are read before one is decoded, so that the other thread finds one too. */
const AHEAD = 2;

export function fillBlocks(ring: BlockRing, read: ReadSome): FilledRing {
  const filler = new BlockFiller(ring, read);
  try {
    return { isForeign: !filler.fill(), problem: null };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    filler.breakOff();
    return { isForeign: false, problem: error.message };
  }
}

class BlockFiller {
  readonly #ring: BlockRing;
  readonly #read: ReadSome;
  #block = 0;

  constructor(ring: BlockRing, read: ReadSome) {
    this.#ring = ring;
    this.#read = read;
  }

  /** Frame by frame. @returns whether all of them are of the kind that can be decoded here. */
  fill(): boolean {
    for (let frames = 0; !this.#ring.isAbandoned; frames++) {
      const header = this.#some(Buffer.alloc(HEADER_BYTES));
      const frame = frameOf(header);
      if (!frame) {
        this.#end();
        return frames > 0 && header.length === 0;
      }
      this.#fillFrame(frame);
    }
    return true;
  }

  /** What was there before stays. */
  breakOff(): void {
    this.#waitForRoom();
    this.#ring.put(this.#block, ENDED);
  }

  #fillFrame(frame: Lz4Frame): void {
    while (this.#loadBlock(frame)) {
      this.#block++;
      if (this.#block >= AHEAD) this.#decodeOne();
    }
    if (this.#ring.isAbandoned) return;
    const checksum = frame.hasChecksum ? this.#exactly(Buffer.alloc(LENGTH_BYTES)).readInt32LE(0) : null;
    this.#waitForRoom();
    this.#ring.putFrameEnd(this.#block++, checksum);
  }

  #end(): void {
    this.#waitForRoom();
    this.#ring.put(this.#block, ENDED);
    while (this.#decodeOne());
  }

  /** @returns false at the mark that ends the blocks, and when nobody takes any more. */
  #loadBlock({ blockBytes }: Lz4Frame): boolean {
    this.#waitForRoom();
    if (this.#ring.isAbandoned) return false;
    const field = this.#exactly(Buffer.alloc(LENGTH_BYTES)).readUInt32LE(0);
    const length = field & LENGTH_MASK;
    if (field === 0) return false;
    if (length === 0 || length > blockBytes) throw new Unreadable(`a block says that it has ${length} bytes`);
    if (field !== length) {
      this.#exactly(this.#ring.plainRoom(this.#block, length));
      this.#ring.put(this.#block, READY);
    } else {
      this.#exactly(this.#ring.stored(this.#block).subarray(0, length));
      this.#ring.putStored(this.#block, length, blockBytes);
    }
    return true;
  }

  /** Meanwhile what is there is decoded. */
  #waitForRoom(): void {
    const ring = this.#ring;
    for (let held = ring.holds(this.#block); held !== EMPTY && !ring.isAbandoned; held = ring.holds(this.#block)) {
      if (!this.#decodeOne()) ring.wait(this.#block, held);
    }
  }

  /** The oldest first. */
  #decodeOne = (): boolean => this.#ring.decodeOne(Math.max(0, this.#block - SLOTS), this.#block);

  #exactly(target: Buffer): Buffer {
    if (this.#some(target).length < target.length) throw new Unreadable('it ends in the middle of a block');
    return target;
  }

  /** @returns less only at the end. */
  #some(target: Buffer): Buffer {
    for (let filled = 0; filled < target.length; ) {
      const length = this.#read(target.subarray(filled));
      if (length === 0) return target.subarray(0, filled);
      filled += length;
    }
    return target;
  }
}
