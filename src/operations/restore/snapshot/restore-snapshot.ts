/** Restores an image to a new EBS snapshot through the EBS direct APIs, without a volume, root or an instance. */
import type { NewSnapshot } from '../../../cloud/blocks.ts';
import { Interrupted } from '../../../errors.ts';
import { cleanupSignal, rootFailure } from '../../../lib/disposal.ts';
import { GiB } from '../../../lib/units.ts';
import type { Archive } from '../../reading/find-archive.ts';
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
  return readTwice({ snapshot, key: object.key }, services.host, restore, failedWith('DIFFERS'));
}

async function restoreOnce(
  order: SnapshotOrder,
  plan: ImagePlan | null,
  services: Services,
  check: ReadContext,
): Promise<RestoredSnapshot> {
  const { snapshotId, object, index, wanted } = order;
  const [digest, canResume] = [digestOf(order), plan !== null];
  const started = await start(digest, canResume, wanted, services, check.signal);
  const { id, block } = started;
  const checkpoint = new SnapshotCheckpoint({ id, digest, canResume, block, seal: null }, services);
  using _held = holdUnfinished(id, services);
  let written: FilledSnapshot;
  try {
    const filling = { snapshotId, object, plan, table: index?.table ?? null, started, checkpoint };
    written = await fillSnapshot(filling, services, check);
    const seal = { blocks: written.tally.blocks, sha256: written.tally.hashes.digest('base64') };
    await checkpoint.seal(seal, check.signal);
    await services.newSnapshots.complete(id, seal.blocks, seal.sha256, check);
  } catch (failure) {
    await releaseOrDelete(snapshotId, id, checkpoint, services, failure);
    throw failure;
  }
  await awaitCompletion({ snapshotId, id, checkpoint, wanted }, services, check.signal);
  const fetchedBytes = written.fetchedBytes + (index?.storedBytes ?? 0);
  return { id, bytes: plan?.table.bytes ?? written.plainBytes, fetchedBytes };
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
