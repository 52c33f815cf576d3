/** Lists the blocks of snapshots with the EBS direct APIs. */
import { SnapError } from '../../../errors.ts';
import { BLOCKS_PER_PAGE } from '../../../lib/aws-limits.ts';
import type { BlockRef, ChangedBlock } from '../../blocks.ts';
import type { Call } from '../../ports.ts';
import { isAwsError, translateErrors } from '../errors.ts';
import { type EBSClient, paginateListChangedBlocks, paginateListSnapshotBlocks } from '../sdk.ts';

interface Listing<Block extends { index: number }> {
  /** What the listing attempts, as a verb phrase for messages. */
  doing: string;
  /** Lists from a block on. The generator ends with an error of the SDK when its page token expires. */
  from(index: number): AsyncGenerator<Block>;
  /** The error for snapshots that cannot be listed. */
  refusal(cause: unknown): SnapError;
}

export const writtenBlocks = (
  client: EBSClient,
  snapshotId: string,
  from: number,
  call: Call,
): AsyncGenerator<BlockRef> =>
  resumed(from, call, {
    doing: `list the blocks of ${snapshotId}`,
    from: (index) => writtenPages(client, snapshotId, index, call),
    refusal: (cause) =>
      new SnapError('SNAPSHOT_UNUSABLE', `${snapshotId} cannot be read by the EBS direct APIs`, {
        hint: 'public, archived, pending and Outposts snapshots cannot be read directly: use --source volume, or copy or restore the snapshot first',
        cause,
      }),
  });

export const changedBlocks = (
  client: EBSClient,
  firstId: string,
  secondId: string,
  call: Call,
): AsyncGenerator<ChangedBlock> =>
  resumed(0, call, {
    doing: `compare ${secondId} with ${firstId}`,
    from: (index) => changedPages(client, { FirstSnapshotId: firstId, SecondSnapshotId: secondId }, index, call),
    refusal: (cause) =>
      new SnapError('SNAPSHOT_UNUSABLE', `EBS cannot compare ${secondId} with ${firstId}`, {
        hint: 'only snapshots of the same volume can be compared, and copies have no relation to their originals: use other snapshots',
        cause,
      }),
  });

/** Starts the listing again after its last block when its page token has expired. */
async function* resumed<Block extends { index: number }>(
  from: number,
  { signal }: Call,
  listing: Listing<Block>,
): AsyncGenerator<Block> {
  let blocks = listing.from(from);
  for (let next = from; ; ) {
    const found = await translateErrors(listing.doing, signal, () => nextOf(blocks, listing));
    if (found === 'expired') {
      blocks = listing.from(next);
      continue;
    }
    if (found === null) return;
    next = found.index + 1;
    yield found;
  }
}

async function nextOf<Block extends { index: number }>(
  blocks: AsyncGenerator<Block>,
  listing: Listing<Block>,
): Promise<Block | 'expired' | null> {
  try {
    const next = await blocks.next();
    return next.done ? null : next.value;
  } catch (error) {
    if (hasReason(error, 'INVALID_PAGE_TOKEN')) return 'expired';
    if (!isAwsError(error, 'ValidationException', 'ResourceNotFoundException')) throw error;
    throw listing.refusal(error);
  }
}

/** Lists pages until the end, or until a page token expires, with the errors of the SDK. */
export async function* writtenPages(
  client: EBSClient,
  SnapshotId: string,
  StartingBlockIndex: number,
  { signal }: Call,
): AsyncGenerator<BlockRef> {
  const isNext = orderOf(StartingBlockIndex);
  const input = { SnapshotId, StartingBlockIndex };
  const pages = paginateListSnapshotBlocks({ client, pageSize: BLOCKS_PER_PAGE }, input, { abortSignal: signal });
  for await (const { Blocks = [] } of pages) {
    for (const { BlockIndex, BlockToken } of Blocks) {
      if (!isNext(BlockIndex) || BlockToken === undefined) throw outOfOrder(SnapshotId);
      yield { index: BlockIndex, token: BlockToken };
    }
  }
}

async function* changedPages(
  client: EBSClient,
  snapshots: { FirstSnapshotId: string; SecondSnapshotId: string },
  StartingBlockIndex: number,
  { signal }: Call,
): AsyncGenerator<ChangedBlock> {
  const isNext = orderOf(StartingBlockIndex);
  const input = { ...snapshots, StartingBlockIndex };
  const pages = paginateListChangedBlocks({ client, pageSize: BLOCKS_PER_PAGE }, input, { abortSignal: signal });
  for await (const { ChangedBlocks = [] } of pages) {
    for (const { BlockIndex, SecondBlockToken } of ChangedBlocks) {
      if (!isNext(BlockIndex)) throw outOfOrder(snapshots.SecondSnapshotId);
      yield { index: BlockIndex, isWritten: SecondBlockToken !== undefined };
    }
  }
}

/** The API promises ascending order and image streams rely on it, so this is checked. */
function orderOf(first: number): (index: number | undefined) => index is number {
  let next = first;
  return (index): index is number => {
    if (index === undefined || index < next) return false;
    next = index + 1;
    return true;
  };
}

const outOfOrder = (snapshotId: string): SnapError =>
  new SnapError('DOWNLOAD_FAILED', `EBS listed the blocks of ${snapshotId} out of order`, {
    hint: 'run the command again, or use --source volume',
  });

/** Whether the EBS direct APIs gave this `Reason`. */
export const hasReason = (error: unknown, reason: string): boolean =>
  error instanceof Error && (error as { Reason?: string }).Reason === reason;
