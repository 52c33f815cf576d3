/**
 * Lets several threads compress the blocks of the stream, writes them in order, and records their positions. The bytes
 * are in the shared memory already, because they were read into it.
 */
import type { Codec, CodecName } from '../archive/codec.ts';
import { encodePlace } from '../archive/file-index.ts';
import { writeWhole } from '../lib/bytes/write-whole.ts';
import { startThread } from '../lib/threads.ts';
import { type BlockFrames, Lz4Frames, ZstdFrames } from './block-frames.ts';
import { type BlockMemory, COMPRESSED, COMPRESSION_BLOCK_BYTES, SharedBlocks } from './block-memory.ts';
import type { CompressingOrder } from './compressing-thread.ts';
import { OWN_OUTPUT } from './indexing-order.ts';
import { LineFile } from './line-file.ts';
import type { StreamWriter } from './stream-writers.ts';

const FRAMES: Record<CodecName, (memory: BlockMemory, blocks: SharedBlocks) => BlockFrames> = {
  lz4: (memory, blocks) => new Lz4Frames(memory, blocks),
  zstd: (_memory, blocks) => new ZstdFrames(blocks),
};

export interface BlockOutput {
  descriptor: number;
  codec: Codec;
  /** The file for the positions of the blocks. */
  placesFile: string;
}

export class BlockWriter implements StreamWriter {
  readonly #descriptor: number;
  readonly #places: LineFile;
  readonly #blocks: SharedBlocks;
  readonly #frames: BlockFrames;
  /** Rejects when a thread fails. */
  readonly #broken: Promise<never>;
  /** Bytes read so far of the current block. */
  #filled = 0;
  #plainBytes = 0;
  /** Number of blocks read and written. */
  #read = 0;
  #written = 0;
  passedBytes = 0;

  constructor(memory: BlockMemory, { descriptor, codec, placesFile }: BlockOutput) {
    this.#descriptor = descriptor;
    this.#places = new LineFile(placesFile);
    this.#blocks = new SharedBlocks(memory);
    this.#frames = FRAMES[codec.name](memory, this.#blocks);
    const threads = Array.from({ length: memory.threads }, (_, thread) => compressingThread({ memory, codec, thread }));
    this.#broken = Promise.race(threads);
    this.#broken.catch(() => {});
    this.#write(this.#frames.header);
  }

  async room(): Promise<number> {
    while (this.#read - this.#written >= this.#blocks.slots) await this.#writeFirst();
    return COMPRESSION_BLOCK_BYTES - this.#filled;
  }

  async put(bytes: Buffer): Promise<void> {
    this.#filled += bytes.length;
    if (this.#filled < COMPRESSION_BLOCK_BYTES) return;
    this.#compress();
    while (this.#written < this.#read && this.#blocks.holds(this.#written, COMPRESSED)) await this.#writeFirst();
  }

  async end(): Promise<void> {
    if (this.#filled > 0) this.#compress();
    while (this.#written < this.#read) await this.#writeFirst();
    this.#notePlace();
    this.#write(this.#frames.end());
    this.#places.finish();
    this.#places[Symbol.dispose]();
    this.#blocks.end();
  }

  #compress(): void {
    this.#blocks.load(this.#read, this.#filled);
    this.#frames.note(this.#read, this.#filled);
    this.#read++;
    this.#filled = 0;
  }

  async #writeFirst(): Promise<void> {
    const block = this.#written;
    await this.#blocks.waitAsync(block, COMPRESSED, this.#broken);
    this.#notePlace();
    this.#plainBytes += this.#blocks.plain(block).length;
    for (const piece of this.#frames.pieces(block)) this.#write(piece);
    this.#blocks.empty(block);
    this.#written++;
  }

  #notePlace(): void {
    this.#places.add(encodePlace({ plain: this.#plainBytes, stored: this.passedBytes }));
  }

  #write(bytes: Buffer): void {
    writeWhole(this.#descriptor, bytes);
    this.passedBytes += bytes.length;
  }
}

/** @returns a promise that rejects if the thread fails, and never resolves. */
const compressingThread = (order: CompressingOrder): Promise<never> =>
  startThread('indexing/compressing-thread', order, OWN_OUTPUT).broken;
