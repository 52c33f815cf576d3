/** Reads the blocks of snapshots with the EBS direct APIs. */
import type { Readable } from 'node:stream';
import { SnapError } from '../../../errors.ts';
import { BLOCKS_PER_PAGE } from '../../../lib/aws-limits.ts';
import { sleep } from '../../../lib/clock.ts';
import { BLOCK_BYTES, type BlockRef, type SnapshotBlock, type SnapshotBlocks } from '../../blocks.ts';
import type { Call } from '../../ports.ts';
import { translateErrors } from '../errors.ts';
import { type EBSClient, GetSnapshotBlockCommand } from '../sdk.ts';
import { readBlockBody } from './block-body.ts';
import { changedBlocks, hasReason, writtenBlocks, writtenPages } from './block-listings.ts';
import { FreshTokens } from './fresh-tokens.ts';

/** Maximum reads of a block that does not match its checksum, and of a block that does not arrive completely. */
const BLOCK_READ_ATTEMPTS = { damaged: 3, broken: 8 };

/** A new token may expire again before it is used. */
const MAX_TOKEN_RENEWALS = 3;

/** Milliseconds before the next read of a block. It doubles each time. */
const BLOCK_RETRY_PAUSE = 50;

export function awsSnapshotBlocks(client: EBSClient): SnapshotBlocks {
  const tokens = new FreshTokens((...listed) => writtenPages(client, ...listed), BLOCKS_PER_PAGE);
  return {
    list: (snapshotId, from, call) => writtenBlocks(client, snapshotId, from, call),

    changed: (firstId, secondId, call) => changedBlocks(client, firstId, secondId, call),

    async read(snapshotId, block, call, buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES)) {
      const failures = { damaged: 0, broken: 0 };
      for (;;) {
        const found = await readOnce({ client, tokens, snapshotId, buffer }, block, call);
        if (typeof found !== 'string') return found;
        failures[found]++;
        if (failures[found] === BLOCK_READ_ATTEMPTS[found])
          throw new SnapError('DOWNLOAD_FAILED', ...unreadable(found, snapshotId, block));
        await sleep(BLOCK_RETRY_PAUSE * 2 ** (failures.broken + failures.damaged), call.signal);
      }
    },
  };
}

interface BlockReader {
  client: EBSClient;
  tokens: FreshTokens;
  snapshotId: string;
  /** The memory for the bytes of the block. */
  buffer: Buffer;
}

type ReadBlock = SnapshotBlock | 'broken' | 'damaged';

/** Requests a block once, or again with a fresh token if its token has expired. */
const readOnce = (reader: BlockReader, block: BlockRef, call: Call): Promise<ReadBlock> =>
  translateErrors(`read block ${block.index} of ${reader.snapshotId}`, call.signal, async () => {
    let known = block;
    for (let renewals = 0; ; renewals++) {
      try {
        return await fetchBlock(reader, known, call);
      } catch (error) {
        if (!hasReason(error, 'INVALID_BLOCK_TOKEN') || renewals === MAX_TOKEN_RENEWALS) throw error;
        known = await reader.tokens.get(reader.snapshotId, block.index, call);
      }
    }
  });

async function fetchBlock(
  { client, snapshotId, buffer }: BlockReader,
  { index, token }: BlockRef,
  { signal }: Call,
): Promise<ReadBlock> {
  const command = new GetSnapshotBlockCommand({ SnapshotId: snapshotId, BlockIndex: index, BlockToken: token });
  const answer = await client.send(command, { abortSignal: signal });
  // In Node, the body is a `Readable`; the SDK declares another type.
  const found = await readBlockBody(answer.BlockData as unknown as Readable, buffer, signal);
  if (found === null) return 'broken';
  return found.sha256 === answer.Checksum ? found : 'damaged';
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
