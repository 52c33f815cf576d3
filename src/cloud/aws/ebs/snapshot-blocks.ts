/** Reads the blocks of snapshots with the EBS direct APIs. */
import type { Readable } from 'node:stream';
import { SnapError } from '../../../errors.ts';
import { sleep } from '../../../lib/clock.ts';
import { BLOCK_BYTES, type BlockRef, type SnapshotBlocks } from '../../blocks.ts';
import type { Call } from '../../ports.ts';
import { isAwsError, translateErrors } from '../errors.ts';
import { type EBSClient, GetSnapshotBlockCommand, paginateListSnapshotBlocks } from '../sdk.ts';
import { readBlockBody } from './block-body.ts';
import { FreshTokens } from './fresh-tokens.ts';

export const BLOCKS_PER_PAGE = 10_000;

/** Maximum reads of a block that does not match its checksum, and of a block that does not arrive completely. */
const BLOCK_READ_ATTEMPTS = { damaged: 3, broken: 8 };

/** A new token may expire again before it is used. */
const MAX_TOKEN_RENEWALS = 3;

/** Milliseconds before the next read of a block. It doubles each time. */
const BLOCK_RETRY_PAUSE = 50;

export function awsSnapshotBlocks(client: EBSClient): SnapshotBlocks {
  /** The API promises ascending order and image streams rely on it, so this is checked. */
  const listFrom = async function* (SnapshotId: string, StartingBlockIndex: number, { signal }: Call) {
    const input = { SnapshotId, StartingBlockIndex };
    let nextIndex = StartingBlockIndex;
    for await (const page of paginateListSnapshotBlocks({ client, pageSize: BLOCKS_PER_PAGE }, input, {
      abortSignal: signal,
    })) {
      for (const { BlockIndex, BlockToken } of page.Blocks ?? []) {
        if (BlockIndex === undefined || BlockToken === undefined || BlockIndex < nextIndex) {
          throw new SnapError('DOWNLOAD_FAILED', `EBS listed the blocks of ${SnapshotId} out of order`, {
            hint: 'run the command again, or use --source volume',
          });
        }
        nextIndex = BlockIndex + 1;
        yield { index: BlockIndex, token: BlockToken } satisfies BlockRef;
      }
    }
  };
  const tokens = new FreshTokens(listFrom, BLOCKS_PER_PAGE);
  const fetchBlock = async (SnapshotId: string, { index, token }: BlockRef, { signal }: Call) => {
    const command = new GetSnapshotBlockCommand({ SnapshotId, BlockIndex: index, BlockToken: token });
    const answer = await client.send(command, { abortSignal: signal });
    // In Node, the body is a `Readable`; the SDK declares another type.
    const found = await readBlockBody(answer.BlockData as unknown as Readable, BLOCK_BYTES, signal);
    if (found === null) return 'broken';
    return found.sha256 === answer.Checksum ? found : 'damaged';
  };
  const readOnce = (snapshotId: string, block: BlockRef, call: Call) =>
    translateErrors(`read block ${block.index} of ${snapshotId}`, call.signal, async () => {
      let known = block;
      for (let renewals = 0; ; renewals++) {
        try {
          return await fetchBlock(snapshotId, known, call);
        } catch (error) {
          if (!hasReason(error, 'INVALID_BLOCK_TOKEN') || renewals === MAX_TOKEN_RENEWALS) throw error;
          known = await tokens.get(snapshotId, block.index, call);
        }
      }
    });
  return {
    async *list(snapshotId, from, call) {
      let blocks = listFrom(snapshotId, from, call);
      for (let next = from; ; ) {
        const found = await translateErrors(`list the blocks of ${snapshotId}`, call.signal, () =>
          nextOf(blocks, snapshotId),
        );
        if (found === 'expired') {
          blocks = listFrom(snapshotId, next, call);
          continue;
        }
        if (found === null) return;
        next = found.index + 1;
        yield found;
      }
    },

    async read(snapshotId, block, call) {
      const failures = { damaged: 0, broken: 0 };
      for (;;) {
        const found = await readOnce(snapshotId, block, call);
        if (typeof found !== 'string') return found;
        failures[found]++;
        if (failures[found] === BLOCK_READ_ATTEMPTS[found])
          throw new SnapError('DOWNLOAD_FAILED', ...unreadable(found, snapshotId, block));
        await sleep(BLOCK_RETRY_PAUSE * 2 ** (failures.broken + failures.damaged), call.signal);
      }
    },
  };
}

function unreadable(why: 'damaged' | 'broken', snapshotId: string, { index }: BlockRef): [string, { hint: string }] {
  const attempts = BLOCK_READ_ATTEMPTS[why];
  return why === 'damaged'
    ? [
        `block ${index} of ${snapshotId} did not match its checksum in ${attempts} attempts`,
        { hint: 'run the command again, or use --source volume' },
      ]
    : [
        `block ${index} of ${snapshotId} could not be read completely in ${attempts} attempts`,
        { hint: 'check the network, then run the same command again' },
      ];
}

async function nextOf(blocks: AsyncGenerator<BlockRef>, snapshotId: string): Promise<BlockRef | 'expired' | null> {
  try {
    const next = await blocks.next();
    return next.done ? null : next.value;
  } catch (error) {
    if (hasReason(error, 'INVALID_PAGE_TOKEN')) return 'expired';
    if (!isAwsError(error, 'ValidationException', 'ResourceNotFoundException')) throw error;
    throw new SnapError('SNAPSHOT_UNUSABLE', `${snapshotId} cannot be read by the EBS direct APIs`, {
      hint: 'public, archived, pending and Outposts snapshots cannot be read directly: use --source volume, or copy or restore the snapshot first',
      cause: error,
    });
  }
}

const hasReason = (error: unknown, reason: string): boolean =>
  error instanceof Error && (error as { Reason?: string }).Reason === reason;
