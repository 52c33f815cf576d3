/** The blocks of a snapshot, which the EBS direct APIs provide one by one. */
import type { SnapshotBlocks } from '../cloud/blocks.ts';
import type { BlockRateLimiter } from '../transfer/rate-limiter.ts';
import type { BlockSource, FetchedBlock } from './block-source.ts';
import { WrittenBlockPages } from './written-block-pages.ts';

export interface SnapshotSourceOptions {
  blocks: SnapshotBlocks;
  snapshotId: string;
  rateLimiter: BlockRateLimiter;
  signal: AbortSignal;
}

export class SnapshotSource implements BlockSource {
  readonly #options: SnapshotSourceOptions;
  readonly written: WrittenBlockPages;

  constructor(options: SnapshotSourceOptions) {
    this.#options = options;
    this.written = new WrittenBlockPages(options.blocks, options.snapshotId);
  }

  groupOf = (index: number): number => index;

  /** @throws like `SnapshotBlocks` */
  async fetch(index: number): Promise<readonly FetchedBlock[]> {
    const { blocks, snapshotId, rateLimiter, signal } = this.#options;
    const { blocks: listed } = await this.written.pageOf(index, { signal });
    const ref = listed.get(index);
    if (!ref) return [{ index, content: null }];
    await rateLimiter.acquire(snapshotId, signal);
    const { bytes } = await blocks.read(snapshotId, ref, { signal });
    return [{ index, content: bytes }];
  }
}
