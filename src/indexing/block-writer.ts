/**
 * Lets several threads compress the blocks of the stream, writes them in order, and records their positions. The bytes
 * are in the shared memory already, because they were read into it.
 */
import type { Codec, CodecName } from '../archive/codec.ts';
import { encodePlace } from '../archive/file-index.ts';
import { writeWhole } from '../lib/bytes/write-whole.ts';
import { type BlockFrames, Lz4Frames, ZstdFrames } from './block-frames.ts';
import { type BlockMemory, COMPRESSED, COMPRESSION_BLOCK_BYTES, SharedBlocks } from './block-memory.ts';
import { CompressingThreads } from './compressing-threads.ts';
import { LineFile } from './line-file.ts';

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

export class BlockWriter {
  readonly #descriptor: number;
  readonly #places: LineFile;
  readonly #blocks: SharedBlocks;
  readonly #frames: BlockFrames;
  readonly #threads: CompressingThreads;
  /** Bytes read so far of the current block. */
  #filled = 0;
  #plainBytes = 0;
  /** Number of blocks read and written. */
  #read = 0;
  #written = 0;
  /** Bytes written so far. */
  passedBytes = 0;

  constructor(memory: BlockMemory, { descriptor, codec, placesFile }: BlockOutput) {
    this.#descriptor = descriptor;
    this.#places = new LineFile(placesFile);
    this.#blocks = new SharedBlocks(memory);
    this.#frames = FRAMES[codec.name](memory, this.#blocks);
    this.#threads = new CompressingThreads({ memory, codec, isFramed: false });
    this.#write(this.#frames.header);
  }

  /** Waits until bytes can be taken. @returns the maximum number of bytes to read in one call */
  async room(): Promise<number> {
    while (this.#read - this.#written >= this.#blocks.slots) await this.#writeFirst();
    return COMPRESSION_BLOCK_BYTES - this.#filled;
  }

  /** Takes bytes that have just been read into the shared memory. */
  async put(bytes: Buffer): Promise<void> {
    this.#filled += bytes.length;
    if (this.#filled < COMPRESSION_BLOCK_BYTES) return;
    this.#compress();
    while (this.#written < this.#read && this.#blocks.holds(this.#written, COMPRESSED)) await this.#writeFirst();
  }

  /** Writes everything that is left. */
  async end(): Promise<void> {
    if (this.#filled > 0) this.#compress();
    while (this.#written < this.#read) await this.#writeFirst();
    this.#notePlace();
    this.#write(this.#frames.end());
    this.#places.finish();
    this.#places[Symbol.dispose]();
    this.#threads.end();
  }

  #compress(): void {
    this.#blocks.load(this.#read, this.#filled);
    this.#frames.note(this.#read, this.#filled);
    this.#read++;
    this.#filled = 0;
  }

  async #writeFirst(): Promise<void> {
    const block = this.#written;
    await this.#threads.compressed(block);
    this.#notePlace();
    this.#plainBytes += this.#blocks.plain(block).length;
    for (const chunk of this.#frames.chunks(block)) this.#write(chunk);
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
