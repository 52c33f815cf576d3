/** Restores an image to a new EBS snapshot through the EBS direct APIs, without a volume, root or an instance. */
import type { ImageIndex } from '../../../archive/block-table.ts';
import type { NewSnapshot } from '../../../cloud/blocks.ts';
import { Interrupted } from '../../../errors.ts';
import { cleanupSignal, rootFailure } from '../../../lib/disposal.ts';
import { GiB } from '../../../lib/units.ts';
import type { Archive, ArchivedObject } from '../../reading/find-archive.ts';
import { type ImageSize, sizeOfDisk } from '../../reading/image-size.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { failedWith, readTwice } from '../../reading/read-twice.ts';
import type { Services } from '../../shared/services.ts';
import type { RestoreSettings, SnapshotTarget } from '../../shared/settings/restore.ts';
import {
  initialCheckpointTag,
  type ResumableSnapshot,
  tagsBesideCheckpoint,
  takeOverSnapshot,
} from '../../sharing/resumable-snapshot.ts';
import { ImagePlan } from '../image/plan-image.ts';
import { snapshotBefore, userTags } from '../restored-tags.ts';
import {
  awaitCompletion,
  deleteUnfinished,
  digestOf,
  holdUnfinished,
  leftUnfinished,
  type RestoredSnapshot,
  type SnapshotOrder,
} from './complete-snapshot.ts';
import { type FilledSnapshot, fillSnapshot } from './fill-snapshot.ts';
import { SnapshotCheckpoint } from './snapshot-checkpoint.ts';

/** An image in one object. */
export interface ObjectImage {
  snapshotId: string;
  object: ArchivedObject;
  index: ImageIndex | null;
  wanted: NewSnapshot;
}

export const orderFor = ({ snapshotId, object, index, wanted }: ObjectImage): SnapshotOrder => ({
  snapshotId,
  content: { key: object.key, etag: object.facts?.etag },
  bytes: index?.table.bytes ?? object.facts?.plainBytes ?? null,
  indexBytes: index?.storedBytes ?? 0,
  wanted,
});

/** @throws SnapError as `writeSnapshot` does. */
export async function restoreToSnapshot(
  image: ObjectImage,
  services: Services,
  check: ReadContext,
): Promise<RestoredSnapshot> {
  const { snapshotId, object, index } = image;
  const plan = index && ImagePlan.of(object, index);
  const fill: Fill = (started, checkpoint) => {
    const filling = { snapshotId, object, plan, table: index?.table ?? null, started, checkpoint };
    return fillSnapshot(filling, services, check);
  };
  const restore = () => writeSnapshot(orderFor(image), { canResume: plan !== null, fill }, services, check);
  if (plan) return restore();
  // Without a plan, wrong blocks may have been written, so a second read writes to another snapshot.
  return readTwice({ snapshot: snapshotId, key: object.key }, services.host, restore, failedWith('DIFFERS'));
}

/** Writes and verifies all blocks from `started.block` on, and reports the progress to the checkpoint. */
export type Fill = (started: ResumableSnapshot, checkpoint: SnapshotCheckpoint) => Promise<FilledSnapshot>;

/**
 * Completes the snapshot only when the whole archive is verified. Otherwise the snapshot is deleted, unless AWS stops or
 * terminates the instance: then it remains for another run to resume.
 * @throws SnapError `DIFFERS`, `CLAIM_LOST`, `SNAPSHOT_UNUSABLE`, `WAIT_TIMEOUT`, and the errors of `writeObject`.
 */
export async function writeSnapshot(
  order: SnapshotOrder,
  { canResume, fill }: { canResume: boolean; fill: Fill },
  services: Services,
  check: ReadContext,
): Promise<RestoredSnapshot> {
  const { snapshotId, wanted } = order;
  const digest = digestOf(order);
  const started = await start(digest, canResume, wanted, services, check.signal);
  const { id, block } = started;
  const checkpoint = new SnapshotCheckpoint({ id, digest, canResume, block, seal: null }, services);
  using _held = holdUnfinished(id, services);
  let written: FilledSnapshot;
  try {
    written = await fill(started, checkpoint);
    const seal = { blocks: written.tally.blocks, sha256: written.tally.hashes.digest('base64') };
    await checkpoint.seal(seal, check.signal);
    await services.newSnapshots.complete(id, seal.blocks, seal.sha256, check);
  } catch (failure) {
    await releaseOrDelete(snapshotId, id, checkpoint, services, failure);
    throw failure;
  }
  await awaitCompletion({ snapshotId, id, checkpoint, wanted }, services, check.signal);
  const fetchedBytes = written.fetchedBytes + order.indexBytes;
  return { id, bytes: canResume ? (order.bytes ?? written.plainBytes) : written.plainBytes, fetchedBytes };
}

/** Takes over an unfinished snapshot, or starts a new one. */
async function start(
  digest: string,
  canResume: boolean,
  wanted: NewSnapshot,
  services: Services,
  signal: AbortSignal,
): Promise<ResumableSnapshot> {
  const unfinished = canResume ? await takeOverSnapshot(digest, services, signal) : null;
  if (unfinished) return unfinished;
  const tags = { ...tagsBesideCheckpoint(wanted.tags).first, ...initialCheckpointTag(digest, canResume) };
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
    if (checkpoint.canBeReleased && failure instanceof Interrupted && failure.isShutdown) {
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
