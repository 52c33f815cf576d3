/** Writes the blocks of a point to a new snapshot, one pack after another. */
import { createHash } from 'node:crypto';
import { BLOCK_BYTES } from '../../../cloud/blocks.ts';
import { SnapError } from '../../../errors.ts';
import { writeBlocks } from '../../../transfer/block-writer.ts';
import { closeAll, makePipe } from '../../../transfer/pipes.ts';
import { writeObject } from '../../reading/object/read-object.ts';
import type { NeededPack } from '../../reading/point/needed-packs.ts';
import type { OpenPoint } from '../../reading/point/open-point.ts';
import { packAsObject, packStream } from '../../reading/point/pack-stream.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { failedWith, readTwice } from '../../reading/read-twice.ts';
import type { Services } from '../../shared/services.ts';
import type { ResumableSnapshot } from '../../sharing/resumable-snapshot.ts';
import { assertNoDifferences } from '../image/write-image.ts';
import { assertBlockMatches, type FilledSnapshot, IN_FLIGHT, tallyOf } from '../snapshot/fill-snapshot.ts';
import type { SnapshotCheckpoint } from '../snapshot/snapshot-checkpoint.ts';
import { zeroRuns } from './write-point.ts';

export interface PointFilling {
  opened: OpenPoint;
  packs: readonly NeededPack[];
  /** Its `block` counts the blocks that are written, in the order of the packs. */
  started: ResumableSnapshot;
  checkpoint: SnapshotCheckpoint;
}

/** @throws SnapError `TARGET` if the disk of the point does not consist of blocks of a snapshot. */
export function assertHasBlocks({ table: { bytes, blockBytes }, point }: OpenPoint): void {
  if (blockBytes === BLOCK_BYTES && bytes % BLOCK_BYTES === 0) return;
  throw new SnapError('TARGET', `the disk of ${point.content.snapshot.id} does not fit into the blocks of a snapshot`, {
    hint: 'restore it with --to-file or --to-device',
  });
}

/**
 * Every block is verified before it is written. Zeros are written only if the new snapshot is encrypted, because its
 * unwritten blocks do not read as zeros.
 * @throws SnapError `DIFFERS`, and the errors of `writeObject`.
 */
export async function fillFromPacks(
  filling: PointFilling,
  services: Services,
  check: ReadContext,
): Promise<FilledSnapshot> {
  const { opened, packs, started } = filling;
  const { table, point } = opened;
  if (started.block > 0) {
    const event = { snapshot: point.content.snapshot.id, key: point.key, bytes: started.block * BLOCK_BYTES };
    check.host.notify({ code: 'restore.continued', files: null, ...event });
  }
  let [before, fetchedBytes] = [0, 0];
  for (const needed of packs) {
    fetchedBytes += await fillFromPack(filling, needed, before, services, check);
    before += needed.positions.length;
  }
  if (started.isEncrypted) await fillZeros(filling, services, check);
  const tally = tallyOf(table, table.kinds.length, started.isEncrypted);
  return { plainBytes: table.bytes, fetchedBytes, tally };
}

/** @param before number of blocks of the packs before this one. @returns the number of stored bytes that were read. */
async function fillFromPack(
  { opened: { point, table }, started, checkpoint }: PointFilling,
  needed: NeededPack,
  before: number,
  services: Services,
  check: ReadContext,
): Promise<number> {
  const { list, pack, positions } = needed;
  let done = Math.max(0, Math.min(positions.length, started.block - before));
  let fetchedBytes = 0;
  const fill = async () => {
    const rest = { ...needed, positions: positions.slice(done) };
    if (rest.positions.length === 0) return;
    const { runs, extents } = packStream(rest);
    const onWritten = (block: number) => {
      while (done < positions.length && (list.indexes[positions[done] ?? 0] ?? 0) < block) done++;
      checkpoint.written(before + done, check.signal);
    };
    const take = async (descriptor: number, signal: AbortSignal) => {
      const { plainBytes, plainSha256, problem } = await writeBlocks(descriptor, {
        ...writingTo(started, services, signal),
        runs,
        check: (index, bytes, sha256) => assertBlockMatches(pack.key, index, bytes, sha256, table),
        onWritten,
      });
      const differences = problem === null ? [] : [{ kind: 'size' as const, path: '', detail: problem }];
      return { plainBytes, plainSha256, differences };
    };
    const found = await writeObject(packAsObject(needed, point), list.snapshot, { kind: 'pipe', take, extents }, check);
    assertNoDifferences(found, 'the new snapshot was deleted');
    fetchedBytes += found.fetchedBytes;
  };
  const { id: snapshot } = point.content.snapshot;
  await readTwice({ snapshot, key: pack.key }, check.host, fill, failedWith('DIFFERS'));
  return fetchedBytes;
}

/** The tally is computed from the table, because the packs are not in the order of the disk. */
const writingTo = (
  { id, isEncrypted }: ResumableSnapshot,
  { newSnapshots, rateLimiter }: Services,
  signal: AbortSignal,
) => ({
  snapshots: newSnapshots,
  snapshotId: id,
  tally: { blocks: 0, hashes: createHash('sha256') },
  inFlight: IN_FLIGHT,
  rateLimiter,
  withZeros: isEncrypted,
  signal,
});

/** These blocks are written again by a run that resumes. */
async function fillZeros({ opened, started }: PointFilling, services: Services, check: ReadContext): Promise<void> {
  const { readEnd, writeEnd } = await makePipe();
  closeAll([writeEnd]);
  await writeBlocks(readEnd, {
    ...writingTo(started, services, check.signal),
    runs: zeroRuns(opened.table),
    check: () => {},
    onWritten: () => {},
  });
}
