/** Restores an image to a new EBS snapshot through the EBS direct APIs, without a volume, root or an instance. */
import type { ImageIndex } from '../../../archive/block-table.ts';
import type { NewSnapshot } from '../../../cloud/blocks.ts';
import { Interrupted, SnapError } from '../../../errors.ts';
import { minutes } from '../../../lib/clock.ts';
import { cleanupError, cleanupSignal, rootFailure } from '../../../lib/disposal.ts';
import { GiB } from '../../../lib/units.ts';
import { waitFor } from '../../../lib/wait.ts';
import type { Archive, ArchivedObject } from '../../reading/find-archive.ts';
import { type ImageSize, sizeOfDisk } from '../../reading/image-size.ts';
import { readAgainIfDamaged } from '../../reading/read-again.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { Services } from '../../shared/services.ts';
import type { RestoreSettings, SnapshotTarget } from '../../shared/settings/restore.ts';
import {
  initialCheckpointTag,
  type ResumableSnapshot,
  restoreDigest,
  SnapshotCheckpoint,
  tagsBesideCheckpoint,
  takeOverSnapshot,
} from '../../sharing/resumable-snapshot.ts';
import { ImagePlan } from '../image/plan-image.ts';
import { snapshotBefore, userTags } from '../restored-tags.ts';
import { fillSnapshot } from './fill-snapshot.ts';

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
  object: ArchivedObject;
  index: ImageIndex | null;
  wanted: NewSnapshot;
}

/**
 * Completes the snapshot only when the whole archive is verified. Otherwise the snapshot is deleted, unless AWS stops or
 * terminates the instance: then it remains for another run to resume.
 * @throws SnapError `DIFFERS`, `CLAIM_LOST`, `SNAPSHOT_UNUSABLE`, `WAIT_TIMEOUT`, and the errors of `writeObject`.
 */
export async function restoreToSnapshot(
  order: SnapshotOrder,
  services: Services,
  check: ReadContext,
): Promise<RestoredSnapshot> {
  const { object, index, snapshotId: snapshot } = order;
  const plan = index && ImagePlan.of(object, index);
  const restore = () => restoreOnce(order, plan, services, check);
  if (plan) return restore();
  // Without a plan, wrong blocks may have been written, so a second read writes to another snapshot.
  return readAgainIfDamaged('DIFFERS', restore, () => {
    services.host.notify({ code: 'object.reread', snapshot, key: object.key });
    return true;
  });
}

async function restoreOnce(
  { snapshotId, object, index, wanted }: SnapshotOrder,
  plan: ImagePlan | null,
  services: Services,
  check: ReadContext,
): Promise<RestoredSnapshot> {
  const digest = plan && restoreDigest([snapshotId, object.key, object.facts?.etag, wanted]);
  const started = await start(digest, wanted, services, check.signal);
  const { id } = started;
  const checkpoint = new SnapshotCheckpoint(started, digest, services);
  const held = services.host.hold({
    what: `unfinished snapshot ${id}`,
    cleanupCommand: `aws ec2 delete-snapshot --snapshot-id ${id}`,
  });
  let isComplete = false;
  try {
    const filling = { snapshotId, object, plan, table: index?.table ?? null, started, checkpoint };
    const written = await fillSnapshot(filling, services, check);
    await checkpoint.confirm(check.signal);
    const { blocks, hashes } = written.tally;
    await services.newSnapshots.complete(id, blocks, hashes.digest('base64'), check);
    isComplete = true;
    await checkpoint.drop(snapshotId, tagsBesideCheckpoint(wanted.tags).last);
    await waitUntilCompleted(id, services, check.signal);
    const fetchedBytes = written.fetchedBytes + (index?.storedBytes ?? 0);
    return { id, bytes: plan?.table.bytes ?? written.plainBytes, fetchedBytes };
  } catch (failure) {
    if (isComplete) await keepCompleting(snapshotId, id, services, failure);
    else await releaseOrDelete(snapshotId, id, checkpoint, services, failure);
    throw failure;
  } finally {
    held[Symbol.dispose]();
  }
}

/** Takes over an unfinished snapshot, or starts a new one. @param digest `null` if no run can resume the restore. */
async function start(
  digest: string | null,
  wanted: NewSnapshot,
  services: Services,
  signal: AbortSignal,
): Promise<ResumableSnapshot> {
  const unfinished = digest === null ? null : await takeOverSnapshot(digest, services, signal);
  if (unfinished) return unfinished;
  const tags = { ...tagsBesideCheckpoint(wanted.tags).first, ...initialCheckpointTag(digest) };
  return { ...(await services.newSnapshots.start({ ...wanted, tags }, { signal })), block: 0 };
}

/**
 * The properties of the new snapshot, which are those of the original as far as the manifest records them.
 * @throws SnapError `NOT_FOUND` if the size of the disk is not known, `GPG_KEY`, `MANIFEST`
 */
export async function wantedSnapshot(
  archive: Archive,
  { plainBytes }: ImageSize,
  { tagKey }: SnapshotTarget,
  { encrypt, kmsKeyArn, sessionKey }: Pick<RestoreSettings, 'encrypt' | 'kmsKeyArn' | 'sessionKey'>,
  check: ReadContext,
): Promise<NewSnapshot> {
  const before = await snapshotBefore(archive, sessionKey, check.signal);
  const recordedGiB = before && plainBytes ? 0 : await sizeOfDisk(archive, check);
  return {
    sizeGiB: Math.max(recordedGiB, Math.ceil((plainBytes ?? 0) / GiB)),
    description: (before?.description ?? '').slice(0, 255),
    tags: Object.fromEntries(userTags(before, tagKey)),
    encrypted: encrypt || kmsKeyArn !== null || before?.encrypted === true,
    kmsKeyArn,
  };
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
  await waitFor(look, { what: `${id} to be completed`, within: COMPLETION, signal });
}

/** EBS completes the snapshot by itself. It is deleted only if a user interrupted the run, or EBS could not complete it. */
async function keepCompleting(snapshot: string, id: string, services: Services, thrown: unknown): Promise<void> {
  const { failure } = rootFailure(thrown);
  const isUnwanted = failure instanceof Interrupted ? !failure.isShutdown : isUnusable(failure);
  if (isUnwanted) await deleteUnfinished(id, services, thrown);
  else services.host.notify({ code: 'restore.completing', snapshot, id });
}

const isUnusable = (failure: unknown): boolean => failure instanceof SnapError && failure.code === 'SNAPSHOT_UNUSABLE';

/** @throws SuppressedError if the snapshot cannot be deleted. */
async function deleteUnfinished(id: string, { newSnapshots }: Services, thrown: unknown): Promise<void> {
  try {
    await newSnapshots.delete(id, { signal: cleanupSignal() });
  } catch (cause) {
    throw new SuppressedError(leftUnfinished(id, cause), thrown);
  }
}

const leftUnfinished = (id: string, cause: unknown): SnapError =>
  cleanupError(`the unfinished snapshot ${id}`, `aws ec2 delete-snapshot --snapshot-id ${id}`, cause);

/** Releases the snapshot for another run if AWS stops or terminates the instance, and deletes it after any other failure. */
async function releaseOrDelete(
  snapshot: string,
  id: string,
  checkpoint: SnapshotCheckpoint,
  services: Services,
  thrown: unknown,
): Promise<void> {
  const { failure } = rootFailure(thrown);
  try {
    if (checkpoint.canResume && failure instanceof Interrupted && failure.isShutdown) {
      await checkpoint.release();
      services.host.notify({ code: 'restore.unfinished', snapshot, path: id });
      return;
    }
    if (!(await checkpoint.isMine(cleanupSignal()))) return;
  } catch (cause) {
    throw new SuppressedError(leftUnfinished(id, cause), thrown);
  }
  // An incomplete snapshot must not remain.
  await deleteUnfinished(id, services, thrown);
}
