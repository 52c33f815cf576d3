/** The written blocks of a snapshot and their tokens. They are listed on demand, and some pages of them are kept. */
import type { BlockRef, SnapshotBlocks } from '../cloud/blocks.ts';
import type { Call } from '../cloud/ports.ts';
import { BLOCKS_PER_PAGE } from '../lib/aws-limits.ts';

/** All written blocks from one index up to but not including another. */
export interface Page {
  from: number;
  to: number;
  blocks: Map<number, BlockRef>;
}

/** A token takes about 250 bytes. */
const MAX_PAGES = 8;

export class WrittenBlockPages {
  readonly #source: SnapshotBlocks;
  readonly #snapshotId: string;
  readonly #pages: Page[] = [];
  #listing: Promise<unknown> = Promise.resolve();

  constructor(source: SnapshotBlocks, snapshotId: string) {
    this.#source = source;
    this.#snapshotId = snapshotId;
  }

  /** Returns the page that covers a block. Only one listing runs at a time. */
  pageOf(index: number, call: Call): Promise<Page> {
    const known = this.#find(index);
    if (known) return Promise.resolve(known);
    const listed = this.#listing.then(() => this.#find(index) ?? this.#list(index, call));
    this.#listing = listed.catch(() => {});
    return listed;
  }

  #find = (index: number): Page | undefined => this.#pages.find(({ from, to }) => from <= index && index < to);

  async #list(from: number, call: Call): Promise<Page> {
    const page: Page = { from, to: Number.POSITIVE_INFINITY, blocks: new Map() };
    for await (const block of this.#source.list(this.#snapshotId, from, call)) {
      page.blocks.set(block.index, block);
      if (page.blocks.size < BLOCKS_PER_PAGE) continue;
      page.to = block.index + 1;
      break;
    }
    this.#pages.unshift(page);
    this.#pages.length = Math.min(this.#pages.length, MAX_PAGES);
    return page;
  }
}
