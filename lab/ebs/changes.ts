/** Finds the blocks in which two snapshots differ. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { BLOCK } from './contract.ts';

/** A snapshot and its written blocks, in ascending order. */
export interface Content {
  image: string;
  written: ReadonlySet<number>;
}

export class Changes {
  readonly #known = new Map<string, Promise<number[]>>();

  /** @returns the indexes of blocks that differ or that only one of the two has, in ascending order. */
  async between(first: Content, second: Content): Promise<number[]> {
    const pair = await Promise.all([first, second].map(async ({ image }) => [image, (await stat(image)).mtimeMs]));
    const key = pair.flat().join(' ');
    const known = this.#known.get(key) ?? compare(first, second);
    this.#known.set(key, known);
    return known;
  }
}

async function compare(first: Content, second: Content): Promise<number[]> {
  await using before = await open(first.image);
  await using after = await open(second.image);
  const differs = differenceIn(before, after);
  const changed: number[] = [...first.written].filter((index) => !second.written.has(index));
  for (const index of second.written) {
    if (!first.written.has(index) || (await differs(index))) changed.push(index);
  }
  return changed.sort((a, b) => a - b);
}

/** The two buffers are used for all blocks. */
function differenceIn(before: FileHandle, after: FileHandle): (index: number) => Promise<boolean> {
  const sides = [before, after].map((file) => ({ file, bytes: Buffer.alloc(BLOCK) }));
  return async (index) => {
    const [one, other] = await Promise.all(
      sides.map(async ({ file, bytes }) => {
        const { bytesRead } = await file.read(bytes, 0, BLOCK, index * BLOCK);
        return bytes.subarray(0, bytesRead);
      }),
    );
    return Buffer.compare(one ?? EMPTY, other ?? EMPTY) !== 0;
  };
}

const EMPTY = Buffer.alloc(0);
