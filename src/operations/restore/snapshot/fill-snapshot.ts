/** Writes the blocks of an image to a new snapshot. Data that may have been damaged in transit is read again. */
import { createHash } from 'node:crypto';
import { BLOCK_KIND, type BlockTable, hashAt } from '../../../archive/block-table.ts';
import { BLOCK_BYTES } from '../../../cloud/blocks.ts';
import { SnapError } from '../../../errors.ts';
import { type BlockTally, writeBlocks, ZERO_BLOCK, ZERO_HASH } from '../../../transfer/block-writer.ts';
import type { ArchivedObject } from '../../reading/find-archive.ts';
import { writeObject } from '../../reading/object/read-object.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { failedWith, readTwice } from '../../reading/read-twice.ts';
import type { Services } from '../../shared/services.ts';
import type { ResumableSnapshot } from '../../sharing/resumable-snapshot.ts';
import type { ImagePlan, SegmentStream } from '../image/plan-image.ts';
import { assertNoDifferences } from '../image/write-image.ts';
import type { SnapshotCheckpoint } from './snapshot-checkpoint.ts';

/** Blocks in flight. */
export const IN_FLIGHT = 32;

export interface Filling {
  /** The original snapshot. */
  snapshotId: string;
  object: ArchivedObject;
  /** `null` if the whole object must be read. */
  plan: ImagePlan | null;
  table: BlockTable | null;
  started: ResumableSnapshot;
  checkpoint: SnapshotCheckpoint;
}

export interface FilledSnapshot {
  plainBytes: number;
  fetchedBytes: number;
  tally: BlockTally;
}

/**
 * With a plan, each block is verified before it is written, so the second read starts at the block that was damaged.
 * @throws SnapError `DIFFERS`, and the errors of `writeObject`.
 */
export async function fillSnapshot(filling: Filling, services: Services, check: ReadContext): Promise<FilledSnapshot> {
  const { snapshotId: snapshot, object, plan, started, checkpoint } = filling;
  if (!plan) return fillOnce(filling, null, (block) => checkpoint.written(block, check.signal), services, check);
  let { block } = started;
  const onWritten = (next: number) => {
    block = next;
    checkpoint.written(next, check.signal);
  };
  const fill = async (isAgain: boolean) => {
    const rest = restOf(plan, { ...started, block });
    if (block > 0 && !isAgain) reportResume(snapshot, object, rest, check);
    return fillOnce(filling, rest, onWritten, services, check);
  };
  return readTwice({ snapshot, key: object.key }, check.host, fill, failedWith('DIFFERS'));
}

/** @param onWritten called with the index of a block when all blocks before it are written. */
async function fillOnce(
  { snapshotId, object, table, started }: Filling,
  rest: Rest | null,
  onWritten: (block: number) => void,
  { newSnapshots: snapshots, rateLimiter }: Services,
  check: ReadContext,
): Promise<FilledSnapshot> {
  const tally = rest?.tally ?? { blocks: 0, hashes: createHash('sha256') };
  const take = async (descriptor: number, signal: AbortSignal) => {
    const { plainBytes, plainSha256, problem } = await writeBlocks(descriptor, {
      snapshots,
      snapshotId: started.id,
      runs: rest?.runs ?? null,
      tally,
      inFlight: IN_FLIGHT,
      rateLimiter,
      withZeros: started.isEncrypted,
      signal,
      check: (index, bytes, sha256) => table && assertBlockMatches(object.key, index, bytes, sha256, table),
      onWritten,
    });
    const differences = problem === null ? [] : [{ kind: 'size' as const, path: '', detail: problem }];
    return { plainBytes, plainSha256, differences };
  };
  const found = await writeObject(object, snapshotId, { kind: 'pipe', take, extents: rest?.extents ?? null }, check);
  assertNoDifferences(found, 'the new snapshot was deleted');
  return { plainBytes: found.plainBytes, tally, fetchedBytes: found.fetchedBytes };
}

interface Rest extends SegmentStream {
  firstBlock: number;
  /** The tally of the blocks before `firstBlock`. */
  tally: BlockTally;
}

/** The rest of the image from the piece that contains the first unwritten block. */
function restOf(plan: ImagePlan, { block, isEncrypted }: ResumableSnapshot): Rest {
  const { first: beginning, end } = plan.whole;
  // The last piece is always written again: its last block may be padded with zeros, which changes its hash.
  const { first } = plan.after({ first: beginning, end: end - 1 }, block);
  const firstBlock = plan.blockAt(first);
  return { ...plan.streamOf({ first, end }), firstBlock, tally: tallyOf(plan.table, firstBlock, isEncrypted) };
}

/**
 * What CompleteSnapshot requires for the blocks before `end`.
 * @param withZeros whether blocks of zeros are written.
 */
export function tallyOf(table: BlockTable, end: number, withZeros: boolean): BlockTally {
  const tally: BlockTally = { blocks: 0, hashes: createHash('sha256') };
  for (let index = 0; index < end; index++) {
    const hash = table.kinds[index] === BLOCK_KIND.zero ? ZERO_HASH : hashAt(table, index);
    if (!withZeros && ZERO_HASH.equals(hash)) continue;
    tally.blocks++;
    tally.hashes.update(hash);
  }
  return tally;
}

function reportResume(snapshot: string, { key }: ArchivedObject, { firstBlock }: Rest, { host }: ReadContext): void {
  const bytes = firstBlock * BLOCK_BYTES;
  if (bytes > 0) host.notify({ code: 'restore.continued', snapshot, key, files: null, bytes });
}

/** The last block of a partition may be padded with zeros, which are not compared. @throws SnapError `DIFFERS` */
export function assertBlockMatches(key: string, index: number, bytes: Buffer, sha256: Buffer, table: BlockTable): void {
  const kind = table.kinds[index];
  if (kind === BLOCK_KIND.unknown) return;
  const length = Math.min(BLOCK_BYTES, table.bytes - index * BLOCK_BYTES);
  const hash = length === BLOCK_BYTES ? sha256 : createHash('sha256').update(bytes.subarray(0, length)).digest();
  const isRight =
    kind === BLOCK_KIND.zero ? bytes.equals(ZERO_BLOCK) : kind === BLOCK_KIND.data && hash.equals(hashAt(table, index));
  if (isRight) return;
  throw new SnapError('DIFFERS', `${key}: the block at byte ${index * BLOCK_BYTES} differs from the index`, {
    hint: 'the archive is damaged: look for another copy, or another version of the object in the bucket',
  });
}
