/** A volume whose blocks change at random between snapshots. Its data can be compressed to about half. */
import { randomBytes, randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BLOCK_BYTES } from '../../src/cloud/blocks.ts';
import { SparseVolume } from '../../test/support/lineages/sparse-volume.ts';

const TEXT = readFileSync(join(import.meta.dirname, '..', '..', 'LICENSE'));

const [KiB, GiB] = [2 ** 10, 2 ** 30];

/** The bytes of text in each KiB. All other bytes are random. */
const TEXT_BYTES = 544;

function newBlock(): Buffer {
  const block = randomBytes(BLOCK_BYTES);
  for (let at = 0; at < BLOCK_BYTES; at += KiB) {
    const from = randomInt(TEXT.length - TEXT_BYTES);
    TEXT.copy(block, at, from, from + TEXT_BYTES);
  }
  return block;
}

/** Blocks that were written one after another. As much space follows that was never written. */
const RUN_BLOCKS = 64;

export class ChangingVolume {
  readonly #volume: SparseVolume;
  readonly #blocks: readonly number[];

  private constructor(volume: SparseVolume, blocks: readonly number[]) {
    this.#volume = volume;
    this.#blocks = blocks;
  }

  /** Creates a volume with data in about half of its blocks. @param path of its image, a sparse file. */
  static async create(path: string, dataBytes: number): Promise<ChangingVolume> {
    const count = Math.ceil(dataBytes / BLOCK_BYTES);
    const blocks = Array.from(
      { length: count },
      (_, at) => 2 * RUN_BLOCKS * Math.floor(at / RUN_BLOCKS) + (at % RUN_BLOCKS),
    );
    const volume = new SparseVolume(path, newBlock);
    await volume.grow(Math.ceil((((blocks.at(-1) ?? 0) + 1) * BLOCK_BYTES) / GiB));
    return new ChangingVolume(volume, blocks);
  }

  get image(): string {
    return this.#volume.path;
  }

  /** @returns the blocks that were written, in ascending order. */
  async fill(): Promise<readonly number[]> {
    await this.#volume.change({ write: this.#blocks });
    return this.#blocks;
  }

  /** Writes new data to a random part of the blocks. @returns these blocks in ascending order. */
  async change(part: number): Promise<readonly number[]> {
    const [chosen, count] = [[...this.#blocks], Math.max(1, Math.floor(this.#blocks.length * part))];
    for (let at = 0; at < count; at++) {
      const other = randomInt(at, chosen.length);
      [chosen[at], chosen[other]] = [chosen[other] ?? 0, chosen[at] ?? 0];
    }
    const write = chosen.slice(0, count).sort((a, b) => a - b);
    await this.#volume.change({ write });
    return write;
  }
}
