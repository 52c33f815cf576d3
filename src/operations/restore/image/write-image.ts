/** An image written where it is wanted: whole and right, or told as what it is. */
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
import { markFinal } from '../../reading/read-again.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { ImagePlan, type Segment, type SegmentStream } from './plan-image.ts';
import type { Target } from './restore-target.ts';
import { restOf } from './resume-image.ts';

export interface ImageOrder {
  object: ArchivedObject;
  snapshotId: string;
  target: Target;
  check: ReadContext;
}

export interface WrittenImage {
  /** Of the image. */
  bytes: number;
  /** With the index. */
  fetchedBytes: number;
}

/** Decompressors at once: more of them are faster than any volume. */
const MAX_SEGMENTS = 4;

/** Ranges that are fetched at once for one of them. */
const MIN_STREAMS = 2;

/**
 * What an earlier run has written already is checked, and left as it is; zeros are neither fetched nor written where
 * they are there already.
 * @throws SnapError `DIFFERS`, `TARGET`, and what `writeObject` throws.
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
  const segments = target.isBlank ? all : await whatIsLeft(order, plan, all);
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

/** A later run goes on with it, unless the archive is damaged. */
function leaveUnfinished(error: unknown, snapshot: string, { path, leave }: Target, host: Host): void {
  const { failure } = rootFailure(error);
  if (!leave || (failure instanceof SnapError && failure.code === 'DIFFERS')) return;
  leave();
  host.notify({ code: 'restore.unfinished', snapshot, path });
}

/** Of what may have been begun. */
async function whatIsLeft(
  { object: { key }, snapshotId: snapshot, target: { path }, check: { host, signal } }: ImageOrder,
  plan: ImagePlan,
  segments: readonly Segment[],
): Promise<Segment[]> {
  const rest: Segment[] = [];
  let bytes = 0;
  for (const segment of segments) {
    const left = await restOf(plan, segment, path, signal);
    bytes += plan.dataBytes({ first: segment.first, end: left.first });
    rest.push(left);
  }
  if (bytes > 0) host.notify({ code: 'restore.continued', snapshot, key, files: null, bytes });
  return rest;
}

/** Segments of one object are shown as one task. */
function asOneTask(label: string, segments: readonly SegmentStream[], host: Host): Host & Disposable {
  const tasks: { read: () => number }[] = [];
  const shown = () => tasks.reduce((sum, { read }) => sum + read(), 0);
  const expectedBytes = lengthOf(segments.flatMap(({ extents }) => extents));
  const whole = host.track({ label, expectedBytes, read: shown, stored: shown });
  return {
    ...host,
    track: (task) => {
      tasks.push(task);
      return { [Symbol.dispose]: () => {} };
    },
    [Symbol.dispose]: () => whole[Symbol.dispose](),
  };
}

/** What breaks off the thread that writes is the target's. */
function asTargetError(error: unknown, name: string): unknown {
  if (!(error instanceof SnapError) || error.code !== 'COMPARE_FAILED') return error;
  const why = error.cause instanceof Error ? error.cause.message : error.message;
  return new SnapError('TARGET', `${name} cannot be written: ${why}`, {
    hint: 'make room, or restore elsewhere; then run the same command again',
    cause: error,
  });
}

/** @throws SnapError `DIFFERS` */
export function assertNoDifferences(
  { key, differences, differenceCount, isAsStored }: ObjectFindings,
  rest: string,
): void {
  const [first] = differences;
  if (differenceCount === 0 || !first) return;
  const error = new SnapError('DIFFERS', `${key}: ${first.detail}; ${rest}`, {
    hint: 'the archive is damaged: look for another copy, or another version of the object',
  });
  throw isAsStored ? markFinal(error) : error;
}
