/** The last steps of a restore to a new snapshot, when all blocks are written and verified. */
import type { NewSnapshot } from '../../../cloud/blocks.ts';
import { Interrupted, SnapError } from '../../../errors.ts';
import { minutes } from '../../../lib/clock.ts';
import { cleanupError, cleanupSignal, rootFailure } from '../../../lib/disposal.ts';
import { GiB } from '../../../lib/units.ts';
import { waitFor } from '../../../lib/wait.ts';
import type { Services } from '../../shared/services.ts';
import { restoreDigest, type Seal, tagsBesideCheckpoint, takeOverWritten } from '../../sharing/resumable-snapshot.ts';
import { SnapshotCheckpoint } from './snapshot-checkpoint.ts';

/** The time limit for EBS to complete the snapshot after its last block. */
const COMPLETION = minutes(60);

export interface RestoredSnapshot {
  id: string;
  /** Size of the image. */
  bytes: number;
  fetchedBytes: number;
}

export interface SnapshotOrder {
  /** The original snapshot. */
  snapshotId: string;
  /** The object that contains the image or, for a point, its map; the ETag is `undefined` if it is not known. */
  content: { key: string; etag: string | undefined };
  /** Size of the image in bytes; `null` if it is not known. */
  bytes: number | null;
  /** Stored bytes of the index. */
  indexBytes: number;
  wanted: NewSnapshot;
}

export const digestOf = ({ snapshotId, content, wanted }: SnapshotOrder): string =>
  restoreDigest([snapshotId, content.key, content.etag, wanted]);

export const holdUnfinished = (id: string, { host }: Services): Disposable =>
  host.hold({ what: `unfinished snapshot ${id}`, cleanupCommand: `aws ec2 delete-snapshot --snapshot-id ${id}` });

/**
 * Finishes the restore if an interrupted run has written all blocks: completes the snapshot if EBS has not done so, and
 * removes the checkpoint tag. It does not read the archive.
 * @returns `null` if there is no such snapshot.
 * @throws SnapError `SNAPSHOT_UNUSABLE`, `WAIT_TIMEOUT`
 */
export async function finishSnapshot(
  order: SnapshotOrder,
  services: Services,
  signal: AbortSignal,
): Promise<RestoredSnapshot | null> {
  const digest = digestOf(order);
  const found = await takeOverWritten(digest, services, signal);
  if (!found) return null;
  const { snapshotId, content, wanted } = order;
  const { id, seal } = found;
  const bytes = order.bytes ?? wanted.sizeGiB * GiB;
  services.host.notify({ code: 'restore.continued', snapshot: snapshotId, key: content.key, files: null, bytes });
  const checkpoint = new SnapshotCheckpoint({ id, digest, canResume: false, block: 0, seal }, services);
  using _held = holdUnfinished(id, services);
  await awaitCompletion({ snapshotId, id, checkpoint, wanted, again: seal }, services, signal);
  return { id, bytes, fetchedBytes: order.indexBytes };
}

interface Completion {
  /** The original snapshot. */
  snapshotId: string;
  /** The new snapshot. */
  id: string;
  checkpoint: SnapshotCheckpoint;
  wanted: NewSnapshot;
  /** The parameters of CompleteSnapshot, if it is not known whether an interrupted run called it. */
  again?: Seal | null;
}

/** The checkpoint tag is removed last: until then, another run finds the snapshot by it. */
export async function awaitCompletion(
  { snapshotId, id, checkpoint, wanted, again = null }: Completion,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  try {
    if (again) await completeAgain(id, again, services, signal);
    await waitUntilCompleted(id, services, signal);
  } catch (failure) {
    await keepOrDelete(snapshotId, id, checkpoint, services, failure);
    throw failure;
  }
  await checkpoint.drop(snapshotId, tagsBesideCheckpoint(wanted.tags).last);
}

/** EBS rejects the second call for a snapshot. Whether that is the reason is detected when the snapshot is completed. */
async function completeAgain(id: string, seal: Seal, { newSnapshots }: Services, signal: AbortSignal): Promise<void> {
  try {
    await newSnapshots.complete(id, seal.blocks, seal.sha256, { signal });
  } catch (error) {
    if (!(error instanceof SnapError) || error.code !== 'CLOUD_CALL') throw error;
  }
}

async function waitUntilCompleted(id: string, { snapshots }: Services, signal: AbortSignal): Promise<void> {
  const look = async () => {
    const [found] = await snapshots.byId([id], { signal });
    if (found?.state === 'error') throw new SnapError('SNAPSHOT_UNUSABLE', `EBS could not complete ${id}`);
    const isDone = found?.state === 'completed';
    return {
      verdict: isDone ? ('done' as const) : ('again' as const),
      value: undefined,
      seen: found?.state ?? 'nothing',
    };
  };
  const hint = 'run the same command again: it waits for the same snapshot';
  await waitFor(look, { what: `${id} to be completed`, within: COMPLETION, signal, hint });
}

/**
 * The next run of the same command completes the snapshot. It is deleted only if a user interrupted the run, or EBS could
 * not complete it.
 */
async function keepOrDelete(
  snapshot: string,
  id: string,
  checkpoint: SnapshotCheckpoint,
  services: Services,
  thrown: unknown,
): Promise<void> {
  const { failure } = rootFailure(thrown);
  const isUnwanted = failure instanceof Interrupted ? !failure.isShutdown : isUnusable(failure);
  if (isUnwanted) return deleteUnfinished(id, services, thrown);
  services.host.notify({ code: 'restore.completing', snapshot, id });
  // If the tag cannot be updated, runs on this machine still find out that this process has ended.
  await checkpoint.release().catch(() => {});
}

const isUnusable = (failure: unknown): boolean => failure instanceof SnapError && failure.code === 'SNAPSHOT_UNUSABLE';

/** @throws SuppressedError if the snapshot cannot be deleted. */
export async function deleteUnfinished(id: string, { newSnapshots }: Services, thrown: unknown): Promise<void> {
  try {
    await newSnapshots.delete(id, { signal: cleanupSignal() });
  } catch (cause) {
    throw new SuppressedError(leftUnfinished(id, cause), thrown);
  }
}

export const leftUnfinished = (id: string, cause: unknown): SnapError =>
  cleanupError(`the unfinished snapshot ${id}`, `aws ec2 delete-snapshot --snapshot-id ${id}`, cause);
