/** Reads a stored stream, puts its blocks into the ring, and decodes blocks that the other thread has not started. */
import { frameOf, HEADER_BYTES, LENGTH_BYTES, LENGTH_MASK, type Lz4Frame } from '../../archive/lz4-frame.ts';
import { type BlockRing, EMPTY, ENDED, READY, SLOTS } from './block-ring.ts';

/** Reads into the buffer. @returns the number of bytes; 0 at the end */
export type ReadSome = (target: Buffer) => number;

export interface FilledRing {
  /** Whether a frame cannot be decoded here. Other decoders may support it. */
  isForeign: boolean;
  /** Why decoding stopped before the end of the stream; otherwise `null`. */
  problem: string | null;
}

class Unreadable extends Error {}

/** Blocks to read before decoding one, so that the other thread finds work, too. */
const BLOCKS_AHEAD = 2;

export function fillBlocks(ring: BlockRing, read: ReadSome): FilledRing {
  const filler = new BlockFiller(ring, read);
  try {
    return { isForeign: !filler.fill(), problem: null };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    filler.markEnd();
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

  /** Reads all frames. @returns whether all of them can be decoded here */
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

  /** Marks the end of the readable part. Blocks in the ring stay there. */
  markEnd(): void {
    this.#waitForRoom();
    this.#ring.put(this.#block, ENDED);
  }

  #fillFrame(frame: Lz4Frame): void {
    while (this.#loadBlock(frame)) {
      this.#block++;
      if (this.#block >= BLOCKS_AHEAD) this.#decodeOne();
    }
    if (this.#ring.isAbandoned) return;
    const checksum = frame.hasChecksum ? this.#exactly(Buffer.alloc(LENGTH_BYTES)).readInt32LE(0) : null;
    this.#waitForRoom();
    this.#ring.putFrameEnd(this.#block++, checksum);
  }

  #end(): void {
    this.markEnd();
    while (this.#decodeOne());
  }

  /** @returns false at the end mark of the blocks, and if the other thread has stopped taking blocks. */
  #loadBlock({ blockBytes }: Lz4Frame): boolean {
    this.#waitForRoom();
    if (this.#ring.isAbandoned) return false;
    const field = this.#exactly(Buffer.alloc(LENGTH_BYTES)).readUInt32LE(0);
    const length = field & LENGTH_MASK;
    if (field === 0) return false;
    if (length === 0 || length > blockBytes) throw new Unreadable(`a block has an invalid length of ${length} bytes`);
    if (field !== length) {
      this.#exactly(this.#ring.plainRoom(this.#block, length));
      this.#ring.put(this.#block, READY);
    } else {
      this.#exactly(this.#ring.stored(this.#block).subarray(0, length));
      this.#ring.putStored(this.#block, length, blockBytes);
    }
    return true;
  }

  /** Decodes blocks while it waits. */
  #waitForRoom(): void {
    const ring = this.#ring;
    for (let held = ring.holds(this.#block); held !== EMPTY && !ring.isAbandoned; held = ring.holds(this.#block)) {
      if (!this.#decodeOne()) ring.wait(this.#block, held);
    }
  }

  /** Decodes the oldest block that has not been started. @returns whether there was one */
  #decodeOne = (): boolean => this.#ring.decodeOne(Math.max(0, this.#block - SLOTS), this.#block);

  #exactly(target: Buffer): Buffer {
    if (this.#some(target).length < target.length) throw new Unreadable('it ends in the middle of a block');
    return target;
  }

  /** @returns fewer bytes only at the end of the stream. */
  #some(target: Buffer): Buffer {
    for (let filled = 0; filled < target.length; ) {
      const length = this.#read(target.subarray(filled));
      if (length === 0) return target.subarray(0, filled);
      filled += length;
    }
    return target;
  }
}
