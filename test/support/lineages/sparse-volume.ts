/** The volume of a lineage: a sparse file, and which of its blocks were written. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { run } from '../../../lab/core/run.ts';
import { BLOCK_BYTES } from '../../../src/cloud/blocks.ts';

/** What is done to a volume. Blocks are named by their index. */
export interface VolumeChange {
  /** The new size of the volume. */
  growToGiB?: number;
  /** Blocks that are written with new bytes. */
  write?: readonly number[];
  /** Blocks that are written with zeros. A snapshot has them. */
  writeZeros?: readonly number[];
  /** Blocks that are trimmed. A snapshot does not have them. */
  trim?: readonly number[];
}

const GiB = 2 ** 30;

export class SparseVolume {
  readonly path: string;
  readonly #newBlock: () => Buffer;
  readonly #data = new Set<number>();
  readonly #zeros = new Set<number>();

  /** @param newBlock returns the bytes of a block to write (default: random bytes). */
  constructor(path: string, newBlock: () => Buffer = () => randomBytes(BLOCK_BYTES)) {
    this.path = path;
    this.#newBlock = newBlock;
  }

  /** The blocks that were written with zeros last. */
  get zeros(): number[] {
    return [...this.#zeros];
  }

  /** All blocks that a snapshot has, in ascending order. */
  get written(): number[] {
    return [...this.#data, ...this.#zeros].sort((a, b) => a - b);
  }

  async grow(sizeGiB: number): Promise<void> {
    await using file = await open(this.path, 'a');
    await file.truncate(sizeGiB * GiB);
  }

  /** @throws Error for a block that is outside of the volume. */
  async change({ growToGiB, write = [], writeZeros = [], trim = [] }: VolumeChange): Promise<void> {
    if (growToGiB !== undefined) await this.grow(growToGiB);
    for (const index of [...writeZeros, ...trim]) await this.#punch(index);
    await using file = await open(this.path, 'r+');
    await assertInside(file, [...write, ...writeZeros, ...trim]);
    for (const index of write) await file.write(this.#newBlock(), 0, BLOCK_BYTES, index * BLOCK_BYTES);
    for (const index of write) this.#note(index, this.#data);
    for (const index of writeZeros) this.#note(index, this.#zeros);
    for (const index of trim) this.#note(index, null);
  }

  #note(index: number, kind: Set<number> | null): void {
    this.#data.delete(index);
    this.#zeros.delete(index);
    kind?.add(index);
  }

  #punch = (index: number): Promise<string> =>
    run(['fallocate', '--punch-hole', '--offset', `${index * BLOCK_BYTES}`, '--length', `${BLOCK_BYTES}`, this.path]);
}

async function assertInside(file: FileHandle, indexes: readonly number[]): Promise<void> {
  const blocks = (await file.stat()).size / BLOCK_BYTES;
  const outside = indexes.find((index) => index >= blocks);
  if (outside !== undefined) throw new Error(`the volume has ${blocks} blocks, so there is no block ${outside}`);
}
