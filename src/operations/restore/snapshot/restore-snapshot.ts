/** An image as a new EBS snapshot, by direct writes: no volume, no root, no instance. */
import { createHash } from 'node:crypto';
import { BLOCK_KIND, type BlockTable, hashAt, type ImageIndex } from '../../../archive/block-table.ts';
import { BLOCK_BYTES, type NewSnapshot } from '../../../cloud/blocks.ts';
import { Interrupted, SnapError } from '../../../errors.ts';
import { minutes } from '../../../lib/clock.ts';
import { cleanupError, cleanupSignal, rootFailure } from '../../../lib/disposal.ts';
import { GiB } from '../../../lib/units.ts';
import { waitFor } from '../../../lib/wait.ts';
import {
  type BlockTally,
  type WrittenBlocks,
  writeBlocks,
  ZERO_BLOCK,
  ZERO_HASH,
} from '../../../transfer/block-writer.ts';
import { checkObject } from '../../reading/check-object.ts';
import type { Archive, ArchivedObject } from '../../reading/find-archive.ts';
import { type ImageSize, sizeOfDisk } from '../../reading/image-size.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { Services } from '../../shared/services.ts';
import type { RestoreSettings, SnapshotTarget } from '../../shared/settings/restore.ts';
import {
  beginningMark,
  type ResumableSnapshot,
  SnapshotCheckpoint,
  tagsBesideMark,
  takeBegun,
  wordFor,
} from '../../sharing/resumable-snapshot.ts';
import { ImagePlan, type SegmentStream } from '../image/plan-image.ts';
import { assertNoDifferences } from '../image/write-image.ts';
import { snapshotBefore, userTags } from '../restored-tags.ts';

/** Blocks on their way at once. */
const IN_FLIGHT = 32;

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
 * @throws SnapError `DIFFERS` and what `checkObject` throws
 */
export async function restoreToSnapshot(
  { snapshotId, object, index, wanted }: SnapshotOrder,
  services: Services,
  check: ReadContext,
): Promise<RestoredSnapshot> {
  const plan = index && ImagePlan.of(object, index);
  const word = plan && wordFor([snapshotId, object.key, object.facts?.etag, wanted]);
  const begun = await begin(word, wanted, services, check.signal);
  const { id } = begun;
  const note = new SnapshotCheckpoint(begun, word, services);
  const held = services.host.hold({
    what: `unfinished snapshot ${id}`,
    cleanupCommand: `aws ec2 delete-snapshot --snapshot-id ${id}`,
  });
  let isSealed = false;
  try {
    const rest = plan && restOf(plan, begun);
    if (rest && begun.block > 0) reportResume(snapshotId, object, rest, check);
    const filling = { begun, table: index?.table ?? null, rest, note };
    const written = await fill(snapshotId, object, filling, services, check);
    await note.confirm(check.signal);
    const { blocks, hashes } = written.tally;
    await services.newSnapshots.complete(id, blocks, hashes.digest('base64'), check);
    isSealed = true;
    await note.drop(snapshotId, tagsBesideMark(wanted.tags).last);
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
  const begun = word === null ? null : await takeBegun(word, services, signal);
  if (begun) return begun;
  const tags = { ...tagsBesideMark(wanted.tags).first, ...beginningMark(word) };
  return { ...(await services.newSnapshots.start({ ...wanted, tags }, { signal })), block: 0 };
}

interface Rest extends SegmentStream {
  firstBlock: number;
  tally: BlockTally;
}

/** From the piece on in which the first block lies that is not written, with the tally of what is before it. */
function restOf(plan: ImagePlan, { block, isEncrypted }: ResumableSnapshot): Rest {
  const { first: beginning, end } = plan.whole;
  // The last piece is written again in any case: its last block may be filled up with zeros, and has another hash then.
  const { first } = plan.behind({ first: beginning, end: end - 1 }, block);
  const firstBlock = plan.blockAt(first);
  return { ...plan.streamOf({ first, end }), firstBlock, tally: tallyOf(plan.table, firstBlock, isEncrypted) };
}

function tallyOf(table: BlockTable, end: number, withZeros: boolean): BlockTally {
  const tally: BlockTally = { blocks: 0, hashes: createHash('sha256') };
  for (let index = 0; index < end; index++) {
    const isZero = table.kinds[index] === BLOCK_KIND.zero;
    if (isZero && !withZeros) continue;
    tally.blocks++;
    tally.hashes.update(isZero ? ZERO_HASH : hashAt(table, index));
  }
  return tally;
}

function reportResume(snapshot: string, { key }: ArchivedObject, { firstBlock }: Rest, { host }: ReadContext): void {
  const bytes = firstBlock * BLOCK_BYTES;
  if (bytes > 0) host.notify({ code: 'restore.continued', snapshot, key, files: null, bytes });
}

interface Filling {
  begun: ResumableSnapshot;
  table: BlockTable | null;
  /** `null`: all of the object is needed. */
  rest: Rest | null;
  note: SnapshotCheckpoint;
}

/** @throws SnapError `DIFFERS` */
async function fill(
  snapshotId: string,
  object: ArchivedObject,
  { begun, table, rest, note }: Filling,
  { newSnapshots: snapshots, rateLimiter }: Services,
  check: ReadContext,
): Promise<WrittenBlocks & { tally: BlockTally; fetchedBytes: number }> {
  const tally = rest?.tally ?? { blocks: 0, hashes: createHash('sha256') };
  let written: WrittenBlocks = { plainBytes: 0, plainSha256: '', problem: null };
  const take = async (descriptor: number, signal: AbortSignal) => {
    written = await writeBlocks(descriptor, {
      snapshots,
      snapshotId: begun.id,
      runs: rest?.runs ?? null,
      tally,
      inFlight: IN_FLIGHT,
      rateLimiter,
      withZeros: begun.isEncrypted,
      signal,
      check: (index, bytes, sha256) => table && assertBlockMatches(object.key, index, bytes, sha256, table),
      onWritten: (block) => note.written(block, signal),
    });
    const { plainBytes, plainSha256, problem } = written;
    const differences = problem === null ? [] : [{ kind: 'size' as const, path: '', detail: problem }];
    return { plainBytes, plainSha256, differences };
  };
  const found = await checkObject(object, snapshotId, { how: 'stream', take, extents: rest?.extents ?? null }, check);
  assertNoDifferences(found, 'the new snapshot was deleted');
  return { ...written, tally, fetchedBytes: found.fetchedBytes };
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

/** Of a disk, the last block is whole; that of a partition may be filled up with zeros. @throws SnapError `DIFFERS` */
function assertBlockMatches(key: string, index: number, bytes: Buffer, sha256: Buffer, table: BlockTable): void {
  const kind = table.kinds[index];
  if (kind === BLOCK_KIND.unknown) return;
  const length = Math.min(BLOCK_BYTES, table.bytes - index * BLOCK_BYTES);
  const hash = length === BLOCK_BYTES ? sha256 : createHash('sha256').update(bytes.subarray(0, length)).digest();
  const isRight =
    kind === BLOCK_KIND.zero ? bytes.equals(ZERO_BLOCK) : kind === BLOCK_KIND.data && hash.equals(hashAt(table, index));
  if (isRight) return;
  throw new SnapError('DIFFERS', `${key}: the block at byte ${index * BLOCK_BYTES} is not what was archived`, {
    hint: 'the archive is damaged: look for another copy, or another version of the object',
  });
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
      await note.leave();
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
