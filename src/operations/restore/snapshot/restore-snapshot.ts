/** An image as a new EBS snapshot, by direct writes: no volume, no root, no instance. */
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

/** EBS works on it after its last block. */
const COMPLETION = minutes(60);

export interface RestoredSnapshot {
  id: string;
  /** Of the image. */
  bytes: number;
  fetchedBytes: number;
}

export interface SnapshotOrder {
  /** The old one. */
  snapshotId: string;
  object: ArchivedObject;
  index: ImageIndex | null;
  wanted: NewSnapshot;
}

/**
 * The snapshot is completed only when the whole archive has proved to be what it should be; else it is deleted, unless
 * the machine is taken away: then it is left for another run to go on with.
 * @throws SnapError `DIFFERS` and what `writeObject` throws
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
  // Blocks that are wrong may have been written: a second read fills another snapshot.
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
  const word = plan && restoreDigest([snapshotId, object.key, object.facts?.etag, wanted]);
  const begun = await begin(word, wanted, services, check.signal);
  const { id } = begun;
  const note = new SnapshotCheckpoint(begun, word, services);
  const held = services.host.hold({
    what: `unfinished snapshot ${id}`,
    cleanupCommand: `aws ec2 delete-snapshot --snapshot-id ${id}`,
  });
  let isSealed = false;
  try {
    const filling = { snapshotId, object, plan, table: index?.table ?? null, begun, note };
    const written = await fillSnapshot(filling, services, check);
    await note.confirm(check.signal);
    const { blocks, hashes } = written.tally;
    await services.newSnapshots.complete(id, blocks, hashes.digest('base64'), check);
    isSealed = true;
    await note.drop(snapshotId, tagsBesideCheckpoint(wanted.tags).last);
    await waitUntilCompleted(id, services, check.signal);
    const fetchedBytes = written.fetchedBytes + (index?.storedBytes ?? 0);
    return { id, bytes: plan?.table.bytes ?? written.plainBytes, fetchedBytes };
  } catch (failure) {
    if (isSealed) await leaveSealed(snapshotId, id, services, failure);
    else await leaveOrDelete(snapshotId, id, note, services, failure);
    throw failure;
  } finally {
    held[Symbol.dispose]();
  }
}

/** @param word `null`: nobody can resume it. */
async function begin(
  word: string | null,
  wanted: NewSnapshot,
  services: Services,
  signal: AbortSignal,
): Promise<ResumableSnapshot> {
  const begun = word === null ? null : await takeOverSnapshot(word, services, signal);
  if (begun) return begun;
  const tags = { ...tagsBesideCheckpoint(wanted.tags).first, ...initialCheckpointTag(word) };
  return { ...(await services.newSnapshots.start({ ...wanted, tags }, { signal })), block: 0 };
}

/**
 * As the snapshot was, as far as the manifest knows.
 * @throws SnapError `NOT_FOUND` where nothing tells how large the disk is, `GPG_KEY`, `MANIFEST`
 */
export async function wantedSnapshot(
  archive: Archive,
  { plainBytes }: ImageSize,
  { tagKey }: SnapshotTarget,
  { encrypt, kmsKeyArn, sessionKey }: Pick<RestoreSettings, 'encrypt' | 'kmsKeyArn' | 'sessionKey'>,
  check: ReadContext,
): Promise<NewSnapshot> {
  const before = await snapshotBefore(archive, sessionKey, check.signal);
  const told = before && plainBytes ? 0 : await sizeOfDisk(archive, check);
  return {
    sizeGiB: Math.max(told, Math.ceil((plainBytes ?? 0) / GiB)),
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

/** EBS completes it without anybody's help: only a person who stops the run, and EBS itself, may not want it. */
async function leaveSealed(snapshot: string, id: string, services: Services, thrown: unknown): Promise<void> {
  const { failure } = rootFailure(thrown);
  const isUnwanted = failure instanceof Interrupted ? !failure.isShutdown : isUnusable(failure);
  if (isUnwanted) await deleteUnfinished(id, services, thrown);
  else services.host.notify({ code: 'restore.completing', snapshot, id });
}

const isUnusable = (failure: unknown): boolean => failure instanceof SnapError && failure.code === 'SNAPSHOT_UNUSABLE';

/** @throws SuppressedError where it stays */
async function deleteUnfinished(id: string, { newSnapshots }: Services, thrown: unknown): Promise<void> {
  try {
    await newSnapshots.delete(id, { signal: cleanupSignal() });
  } catch (cause) {
    throw new SuppressedError(leftUnfinished(id, cause), thrown);
  }
}

const leftUnfinished = (id: string, cause: unknown): SnapError =>
  cleanupError(`the unfinished snapshot ${id}`, `aws ec2 delete-snapshot --snapshot-id ${id}`, cause);

/** A machine that is taken away leaves its work to the next run; a person who stops it does not. */
async function leaveOrDelete(
  snapshot: string,
  id: string,
  note: SnapshotCheckpoint,
  services: Services,
  thrown: unknown,
): Promise<void> {
  const { failure } = rootFailure(thrown);
  try {
    if (note.canResume && failure instanceof Interrupted && failure.isShutdown) {
      await note.release();
      services.host.notify({ code: 'restore.unfinished', snapshot, path: id });
      return;
    }
    if (!(await note.isMine(cleanupSignal()))) return;
  } catch (cause) {
    throw new SuppressedError(leftUnfinished(id, cause), thrown);
  }
  // A snapshot without all of its blocks must not stay.
  await deleteUnfinished(id, services, thrown);
}
