/** Reads the blocks of a restored image for a comparison with its index, without the holes where the index has zeros. */
import { type FileHandle, open } from 'node:fs/promises';
import { BLOCK_KIND, type BlockTable } from '../../../archive/block-table.ts';
import { startExtentMapper } from '../../../host/filesystems/extent-mapper.ts';
import { MiB } from '../../../lib/units.ts';
import { allocatedParts, type MapperEnds } from '../../../streams/allocated-parts.ts';

/** The blocks from `first` up to, but not including, `end`. */
export interface BlockRange {
  first: number;
  end: number;
}

/** @returns `false` to read no further. @param bytes less than a block at the end of the file. */
export type BlockVisitor = (bytes: Buffer, index: number) => boolean;

/** Minimum bytes of a run of zeros for which the kernel is asked. A shorter run is faster to read. */
const MIN_GAP = 32 * MiB;

const BLOCKS_PER_READ = 16;

/** A file or device that holds an image, or a part of one. */
export class ImageBlocks implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #table: BlockTable;
  /** Length of the file; `null` for a device, which has no holes. */
  readonly #fileBytes: number | null;
  readonly #signal: AbortSignal;
  /** `undefined` until it is needed; `null` if there is none. */
  #mapper: (MapperEnds & AsyncDisposable) | null | undefined;

  static async open(path: string, table: BlockTable, signal: AbortSignal): Promise<ImageBlocks> {
    const file = await open(path, 'r');
    const stat = await file.stat();
    return new ImageBlocks(file, table, stat.isFile() ? stat.size : null, signal);
  }

  private constructor(file: FileHandle, table: BlockTable, fileBytes: number | null, signal: AbortSignal) {
    this.#file = file;
    this.#table = table;
    this.#fileBytes = fileBytes;
    this.#signal = signal;
  }

  /** The length of the file; 0 for a device. */
  get fileBytes(): number {
    return this.#fileBytes ?? 0;
  }

  /** Visits blocks in ascending order. Does not visit blocks of zeros that are certainly holes of the file. */
  async visit(range: BlockRange, visitor: BlockVisitor): Promise<void> {
    for await (const { first, end } of this.#rangesToRead(range)) {
      if (!(await this.#read(first, end, visitor))) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#mapper?.[Symbol.asyncDispose]();
    await this.#file.close();
  }

  async #read(from: number, to: number, visitor: BlockVisitor): Promise<boolean> {
    const { blockBytes } = this.#table;
    const buffer = Buffer.alloc(Math.min(to - from, BLOCKS_PER_READ) * blockBytes);
    for (let first = from; first < to; first += BLOCKS_PER_READ) {
      this.#signal.throwIfAborted();
      const filled = await this.#fill(buffer, first * blockBytes);
      for (let index = first; index < Math.min(to, first + BLOCKS_PER_READ); index++) {
        const at = (index - first) * blockBytes;
        if (!visitor(buffer.subarray(at, Math.min(filled, at + this.#lengthOf(index))), index)) return false;
      }
    }
    return true;
  }

  /** A read may end early. */
  async #fill(buffer: Buffer, position: number): Promise<number> {
    for (let filled = 0; ; ) {
      const { bytesRead } = await this.#file.read(buffer, filled, buffer.length - filled, position + filled);
      filled += bytesRead;
      if (bytesRead === 0 || filled === buffer.length) return filled;
    }
  }

  #lengthOf(index: number): number {
    const { bytes, blockBytes } = this.#table;
    return Math.min(blockBytes, bytes - index * blockBytes);
  }

  async *#rangesToRead({ first, end }: BlockRange): AsyncGenerator<BlockRange> {
    let from = first;
    for (const gap of this.#gapsIn({ first, end })) {
      if (gap.first > from) yield { first: from, end: gap.first };
      yield* this.#allocatedIn(gap);
      from = gap.end;
    }
    if (end > from) yield { first: from, end };
  }

  /** Long runs of zeros that are within the file. */
  *#gapsIn({ first, end }: BlockRange): Generator<BlockRange> {
    if (this.#fileBytes === null) return;
    const { kinds, blockBytes } = this.#table;
    const last = Math.min(end, Math.floor(this.#fileBytes / blockBytes));
    for (let start = first; start < last; ) {
      let next = start;
      while (next < last && kinds[next] === BLOCK_KIND.zero) next++;
      if ((next - start) * blockBytes >= MIN_GAP) yield { first: start, end: next };
      start = next + 1;
    }
  }

  async *#allocatedIn({ first, end }: BlockRange): AsyncGenerator<BlockRange> {
    this.#signal.throwIfAborted();
    if (this.#mapper === undefined) this.#mapper = await startExtentMapper(this.#signal);
    const { blockBytes } = this.#table;
    const whole = { from: BigInt(first * blockBytes), to: BigInt(end * blockBytes) };
    let next = first;
    for await (const { from, to } of allocatedParts(this.#mapper, this.#file.fd, whole)) {
      this.#signal.throwIfAborted();
      const part = {
        first: Math.max(next, Math.floor(Number(from) / blockBytes)),
        end: Math.ceil(Number(to) / blockBytes),
      };
      if (part.end > part.first) yield part;
      next = Math.max(next, part.end);
    }
    this.#signal.throwIfAborted();
  }
}
