/** Writes an image to its target, and verifies it while it is written. */
import { availableParallelism } from 'node:os';
import type { BlockTable, ImageIndex } from '../../../archive/block-table.ts';
import { SnapError } from '../../../errors.ts';
import type { Host } from '../../../events.ts';
import { rootFailure } from '../../../lib/disposal.ts';
import { inParallel } from '../../../lib/parallel.ts';
import { lengthOf } from '../../../transfer/download.ts';
import type { ArchivedObject } from '../../reading/find-archive.ts';
import type { ObjectFindings } from '../../reading/object/object-findings.ts';
import { writeObject } from '../../reading/object/read-object.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { markFinal } from '../../reading/read-twice.ts';
import { ImagePlan, type PieceRange, type SegmentStream } from './plan-image.ts';
import type { OpenTarget } from './restore-target.ts';
import { restOf } from './resume-image.ts';

export interface ImageOrder {
  object: ArchivedObject;
  snapshotId: string;
  target: OpenTarget;
  check: ReadContext;
}

export interface WrittenImage {
  /** Size of the image. */
  bytes: number;
  /** Stored bytes that were read, including the index. */
  fetchedBytes: number;
}

/** Maximum number of segments, and decompressors, at the same time. More would be faster than any volume. */
const MAX_SEGMENTS = 4;

/** Minimum number of byte ranges in flight for each segment. */
const MIN_STREAMS = 2;

/**
 * Verifies the data that an earlier run has written, and keeps it. Zeros are not fetched, and not written if the target
 * already contains them.
 * @throws SnapError `DIFFERS`, `TARGET`, and the errors of `writeObject`.
 */
export async function writeImage(order: ImageOrder, index: ImageIndex | null): Promise<WrittenImage> {
  const plan = index && ImagePlan.of(order.object, index);
  try {
    const written = plan ? await writeSegments(order, plan) : await writeInOnePass(order, index?.table ?? null);
    return { ...written, fetchedBytes: written.fetchedBytes + (index?.storedBytes ?? 0) };
  } catch (error) {
    throw asTargetError(error, order.target.name);
  }
}

async function writeInOnePass(
  { object, snapshotId, target, check }: ImageOrder,
  table: BlockTable | null,
): Promise<WrittenImage> {
  await target.setLength(0);
  const sink = { kind: 'image', path: target.path, isBlank: target.isFile, table } as const;
  const found = await writeObject(object, snapshotId, { ...sink, runs: null, extents: null }, check);
  assertNoDifferences(found, target.loss);
  await target.setLength(found.contentBytes);
  return { bytes: found.contentBytes, fetchedBytes: found.fetchedBytes };
}

async function writeSegments(order: ImageOrder, plan: ImagePlan): Promise<WrittenImage> {
  const { object, snapshotId, target, check } = order;
  const all = plan.split(Math.min(availableParallelism(), MAX_SEGMENTS));
  const segments = target.isBlank ? all : await remainingSegments(order, plan, all);
  const planned = segments.map((segment) => plan.streamOf(segment));
  const written: WrittenImage = { bytes: plan.table.bytes, fetchedBytes: 0 };
  using host = asOneTask(object.key, planned, check.host);
  const streams = Math.max(MIN_STREAMS, Math.ceil(check.streams / planned.length));
  const { path, isBlank } = target;
  try {
    await inParallel(planned, planned.length, check.signal, async (segment, signal) => {
      const sink = { kind: 'image', path, isBlank, table: plan.table, ...segment } as const;
      const found = await writeObject(object, snapshotId, sink, { ...check, host, streams, signal });
      assertNoDifferences(found, target.loss);
      written.fetchedBytes += found.fetchedBytes;
    });
  } catch (error) {
    leaveUnfinished(error, snapshotId, target, check.host);
    throw error;
  }
  await target.setLength(plan.table.bytes);
  return written;
}

/** Keeps the incomplete image for a later run, unless the archive is damaged. */
export function leaveUnfinished(error: unknown, snapshot: string, { path, leave }: OpenTarget, host: Host): void {
  const { failure } = rootFailure(error);
  if (!leave || (failure instanceof SnapError && failure.code === 'DIFFERS')) return;
  leave();
  host.notify({ code: 'restore.unfinished', snapshot, path });
}

/** The rests of the segments that an earlier run may have written in part. */
async function remainingSegments(
  { object: { key }, snapshotId: snapshot, target: { path }, check: { host, signal } }: ImageOrder,
  plan: ImagePlan,
  segments: readonly PieceRange[],
): Promise<PieceRange[]> {
  const rest: PieceRange[] = [];
  let [bytes, compared] = [0, 0];
  const expectedBytes = plan.table.bytes;
  using _shown = host.track({ label: `existing data of ${path}`, expectedBytes, read: () => compared, stored: null });
  for (const segment of segments) {
    const remaining = await restOf(plan, segment, path, signal, (count) => {
      compared += count;
    });
    bytes += plan.dataBytes({ first: segment.first, end: remaining.first });
    rest.push(remaining);
  }
  if (bytes > 0) host.notify({ code: 'restore.continued', snapshot, key, files: null, bytes });
  return rest;
}

/** A host that shows the segments of an object as one progress task. */
export function asOneTask(
  label: string,
  segments: readonly Pick<SegmentStream, 'extents'>[],
  host: Host,
): Host & Disposable {
  const tasks: { read: () => number }[] = [];
  const total = () => tasks.reduce((sum, { read }) => sum + read(), 0);
  const expectedBytes = lengthOf(segments.flatMap(({ extents }) => extents));
  const whole = host.track({ label, expectedBytes, read: total, stored: total });
  return {
    ...host,
    track: (task) => {
      tasks.push(task);
      return { [Symbol.dispose]: () => {} };
    },
    [Symbol.dispose]: () => whole[Symbol.dispose](),
  };
}

/** A failure of the thread that writes is caused by the target. */
export function asTargetError(error: unknown, name: string): unknown {
  if (!(error instanceof SnapError) || error.code !== 'COMPARE_FAILED') return error;
  const why = error.cause instanceof Error ? error.cause.message : error.message;
  return new SnapError('TARGET', `could not write ${name}: ${why}`, {
    hint: 'correct the cause, for example free space, and run the same command again, or restore to another target',
    cause: error,
  });
}

/** @param loss what happens to the written data, as a clause. @throws SnapError `DIFFERS` */
export function assertNoDifferences(
  { key, differences, differenceCount, isAsStored }: ObjectFindings,
  loss: string,
): void {
  const [first] = differences;
  if (differenceCount === 0 || !first) return;
  const error = new SnapError('DIFFERS', `${key}: ${first.detail}; ${loss}`, {
    hint: 'the archive is damaged: look for another copy, or another version of the object in the bucket',
  });
  throw isAsStored ? markFinal(error) : error;
}
