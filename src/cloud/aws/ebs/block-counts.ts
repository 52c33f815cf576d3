/** Counts blocks with the list calls of the EBS direct APIs. */

import { BLOCKS_PER_PAGE } from '../../../lib/aws-limits.ts';
import type { BlockCounts, Counted } from '../../blocks.ts';
import { translateErrors } from '../errors.ts';
import { type EBSClient, paginateListChangedBlocks, paginateListSnapshotBlocks } from '../sdk.ts';

/** @param clientIn creates a client for a region. It is called once per region. */
export function awsBlockCounts(clientIn: (region: string) => EBSClient): BlockCounts {
  const clients = new Map<string, EBSClient>();
  const inRegion = (region: string) => {
    const client = clients.get(region) ?? clientIn(region);
    clients.set(region, client);
    return { client, pageSize: BLOCKS_PER_PAGE };
  };
  return {
    written: (region, SnapshotId, { signal }) =>
      translateErrors(`list the blocks of ${SnapshotId}`, signal, async () => {
        const pages = paginateListSnapshotBlocks(inRegion(region), { SnapshotId }, { abortSignal: signal });
        return total(pages, ({ Blocks = [] }) => Blocks.length);
      }),

    changed: (region, FirstSnapshotId, SecondSnapshotId, { signal }) =>
      translateErrors(`compare ${SecondSnapshotId} with ${FirstSnapshotId}`, signal, async () => {
        const input = { FirstSnapshotId, SecondSnapshotId };
        const pages = paginateListChangedBlocks(inRegion(region), input, { abortSignal: signal });
        // A changed block without a second token has no content in the second snapshot, so nothing is stored for it.
        return total(pages, ({ ChangedBlocks = [] }) => ChangedBlocks.filter((block) => block.SecondBlockToken).length);
      }),
  };
}

async function total<T>(pages: AsyncIterable<T>, blocksIn: (page: T) => number): Promise<Counted> {
  const counted = { blocks: 0, requests: 0 };
  for await (const page of pages) {
    counted.blocks += blocksIn(page);
    counted.requests++;
  }
  return counted;
}
