/**
 * Replaces expired block tokens. One listing at a time serves all callers, and each listing keeps one page of tokens.
 */
import { SnapError } from '../../../errors.ts';
import type { BlockRef } from '../../blocks.ts';
import type { Call } from '../../ports.ts';

type List = (snapshotId: string, from: number, call: Call) => AsyncIterable<BlockRef>;

export class FreshTokens {
  readonly #list: List;
  readonly #maximum: number;
  readonly #known = new Map<string, BlockRef>();
  #listing: Promise<void> = Promise.resolve();

  /** @param maximum number of tokens to keep. */
  constructor(list: List, maximum: number) {
    this.#list = list;
    this.#maximum = maximum;
  }

  /** @throws SnapError `DOWNLOAD_FAILED` if the block is no longer listed. */
  async get(snapshotId: string, index: number, call: Call): Promise<BlockRef> {
    const name = nameOf(snapshotId, index);
    const listed = this.#listing.then(async () => {
      if (!this.#known.has(name)) await this.#listFrom(snapshotId, index, call);
      const block = this.#known.get(name);
      this.#known.delete(name);
      return block;
    });
    this.#listing = listed.then(
      () => {},
      () => {},
    );
    const block = await listed;
    if (block) return block;
    throw new SnapError('DOWNLOAD_FAILED', `block ${index} of ${snapshotId} is no longer listed`, {
      hint: 'check that the snapshot still exists, then run the command again',
    });
  }

  async #listFrom(snapshotId: string, from: number, call: Call): Promise<void> {
    this.#known.clear();
    for await (const block of this.#list(snapshotId, from, call)) {
      this.#known.set(nameOf(snapshotId, block.index), block);
      if (this.#known.size === this.#maximum) return;
    }
  }
}

const nameOf = (snapshotId: string, index: number): string => `${snapshotId}:${index}`;
