/** One of the threads that compress blocks of the stream. */
import { workerData } from 'node:worker_threads';
import { constants, zstdCompressSync } from 'node:zlib';
import type { Codec, CodecName } from '../archive/codec.ts';
import { contentFrameHeader, FRAME_END, HEADER_BYTES, LENGTH_BYTES, UNCOMPRESSED } from '../archive/lz4-frame.ts';
import { finishChecksum, STRIPE_BYTES } from '../lib/bytes/xxh32.ts';
import { Lz4Coder } from '../lz4/coder.ts';
import { type BlockMemory, COMPRESSION_BLOCK_BYTES, LOADED, SharedBlocks } from './block-memory.ts';
import { isByCommand, lz4Frame } from './lz4-command.ts';

export interface CompressingOrder {
  memory: BlockMemory;
  codec: Codec;
  /** Whether each block becomes a frame. Otherwise lz4 blocks are parts of one frame; zstd blocks are always frames. */
  isFramed: boolean;
  /** The number of this thread, starting at 0. */
  thread: number;
}

/** Compresses a block in the shared memory. @returns the length of the result; 0 if the block cannot be compressed */
type Compress = (block: number) => number;

class Lz4Blocks {
  readonly #blocks: SharedBlocks;
  readonly #coder: Lz4Coder;
  readonly #table: number;
  readonly #codec: Codec;

  constructor(blocks: SharedBlocks, { memory, codec, thread }: CompressingOrder) {
    this.#blocks = blocks;
    this.#coder = new Lz4Coder(memory.memory);
    this.#table = SharedBlocks.tableAt(thread);
    this.#codec = codec;
  }

  /** Compresses a block of a frame that the main thread builds. */
  block = (block: number): number => this.#encode(block, 0, () => this.#checksum(block));

  /** Makes a frame of one block. */
  frame = (block: number): number => {
    const plain = this.#blocks.plain(block);
    const room = this.#blocks.storedRoom(block);
    const start = HEADER_BYTES + LENGTH_BYTES;
    HEADER.copy(room);
    const checksum = this.#checksum(block);
    const encoded = this.#encode(block, start, () => checksum);
    const length = encoded === 0 ? plain.copy(room, start) : encoded;
    room.writeUInt32LE(encoded === 0 ? (length | UNCOMPRESSED) >>> 0 : length, HEADER_BYTES);
    FRAME_END.copy(room, start + length);
    return room.writeUInt32LE(checksum, start + length + LENGTH_BYTES);
  };

  /**
   * @param offset in the memory for the compressed bytes.
   * @param checksum of the plain bytes; only the command needs it.
   * @returns 0 if the result is not shorter.
   */
  #encode(block: number, offset: number, checksum: () => number): number {
    const plain = this.#blocks.plain(block);
    if (isByCommand(this.#codec)) {
      const encoded = lz4Frame(plain, this.#codec.level, checksum());
      return encoded?.copy(this.#blocks.storedRoom(block), offset) ?? 0;
    }
    const to = this.#blocks.storedAt(block) + offset;
    const length = this.#coder.encode(this.#blocks.plainAt(block), plain.length, to, this.#table);
    return length < plain.length ? length : 0;
  }

  #checksum(block: number): number {
    const plain = this.#blocks.plain(block);
    this.#coder.resetLanes();
    this.#coder.mix(this.#blocks.plainAt(block), plain.length);
    const rest = plain.subarray(plain.length - (plain.length % STRIPE_BYTES));
    return finishChecksum(this.#coder.lanes(), plain.length, rest);
  }
}

const HEADER = contentFrameHeader();

function byLz4(blocks: SharedBlocks, order: CompressingOrder): Compress {
  const lz4 = new Lz4Blocks(blocks, order);
  return order.isFramed ? lz4.frame : lz4.block;
}

/** Each frame has a checksum and can be decoded independently. */
function byZstd(blocks: SharedBlocks, { codec }: CompressingOrder): Compress {
  const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = constants;
  const params = { [ZSTD_c_compressionLevel]: codec.level, [ZSTD_c_checksumFlag]: 1 };
  // With room for the whole frame, zlib is called once and allocates once.
  const options = { params, chunkSize: COMPRESSION_BLOCK_BYTES + 65_536 };
  return (block) => {
    const frame = zstdCompressSync(blocks.plain(block), options);
    frame.copy(blocks.storedRoom(block));
    return frame.length;
  };
}

const COMPRESSORS: Record<CodecName, (blocks: SharedBlocks, order: CompressingOrder) => Compress> = {
  lz4: byLz4,
  zstd: byZstd,
};

function compressBlocks(order: CompressingOrder): void {
  const blocks = new SharedBlocks(order.memory);
  const compress = COMPRESSORS[order.codec.name](blocks, order);
  for (let block = blocks.takeNext(); blocks.wait(block, LOADED); block = blocks.takeNext())
    blocks.putCompressed(block, compress(block));
}

compressBlocks(workerData as CompressingOrder);
