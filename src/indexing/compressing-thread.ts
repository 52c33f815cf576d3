/** One of the threads that compress blocks of the stream. */
import { workerData } from 'node:worker_threads';
import { constants, zstdCompressSync } from 'node:zlib';
import type { Codec, CodecName } from '../archive/codec.ts';
import { Lz4Coder } from '../lz4/coder.ts';
import { type BlockMemory, COMPRESSION_BLOCK_BYTES, LOADED, SharedBlocks } from './block-memory.ts';

export interface CompressingOrder {
  memory: BlockMemory;
  codec: Codec;
  /** The number of this thread, starting at 0. */
  thread: number;
}

/** Compresses a block in the shared memory. @returns the length of the result; 0 if the block cannot be compressed */
type Compress = (block: number) => number;

function byLz4(blocks: SharedBlocks, { memory, thread }: CompressingOrder): Compress {
  const coder = new Lz4Coder(memory.memory);
  const table = SharedBlocks.tableAt(thread);
  return (block) => {
    const { length } = blocks.plain(block);
    const stored = coder.encode(blocks.plainAt(block), length, blocks.storedAt(block), table);
    return stored < length ? stored : 0;
  };
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
