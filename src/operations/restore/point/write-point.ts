/** Writes a point to a file or device: its packs in any order and several at a time, and zeros everywhere else. */
import { availableParallelism } from 'node:os';
import { BLOCK_KIND, type BlockTable } from '../../../archive/block-table.ts';
import type { BlockRun } from '../../../lib/bytes/block-run.ts';
import { inParallel } from '../../../lib/parallel.ts';
import { consumeInThreads } from '../../../streams/start.ts';
import { closeAll, makePipe } from '../../../transfer/pipes.ts';
import type { ObjectFindings } from '../../reading/object/object-findings.ts';
import { writeObject } from '../../reading/object/read-object.ts';
import type { NeededPack } from '../../reading/point/needed-packs.ts';
import type { OpenPoint } from '../../reading/point/open-point.ts';
import { packAsObject, packStream } from '../../reading/point/pack-stream.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { ImageBlocks } from '../image/image-blocks.ts';
import type { OpenTarget } from '../image/restore-target.ts';
import { firstMismatch } from '../image/resume-image.ts';
import {
  asOneTask,
  assertNoDifferences,
  asTargetError,
  leaveUnfinished,
  type WrittenImage,
} from '../image/write-image.ts';

export interface PointOrder {
  opened: OpenPoint;
  /** The packs that it needs. */
  packs: readonly NeededPack[];
  target: OpenTarget;
  check: ReadContext;
  onPack: OnPack;
}

/** Called for each pack that was read, also if it is damaged. */
export type OnPack = (needed: NeededPack, found: ObjectFindings) => void;

/** Maximum number of packs, and decompressors, at the same time. More would be faster than any volume. */
const MAX_PACKS = 4;

/** Minimum number of byte ranges in flight for each pack. */
const MIN_STREAMS = 2;

/**
 * Every block is verified before it is written. Blocks that an earlier run has written are verified, and kept.
 * @throws SnapError `DIFFERS`, `TARGET`, and the errors of `writeObject`.
 */
export async function writePoint(order: PointOrder): Promise<WrittenImage> {
  const { opened, packs, target, check } = order;
  const { point, table } = opened;
  try {
    const fetchedBytes = await writePacks(order, target.isBlank ? packs : await remainingPacks(order));
    if (!target.isBlank) await writeZeros(target.path, table, check.signal);
    await target.setLength(table.bytes);
    return { bytes: table.bytes, fetchedBytes };
  } catch (error) {
    leaveUnfinished(error, point.content.snapshot.id, target, check.host);
    throw asTargetError(error, target.name);
  }
}

/** @returns the number of stored bytes that were read. */
async function writePacks(
  { opened: { point, table }, target: { path, isBlank, loss }, check, onPack }: PointOrder,
  packs: readonly NeededPack[],
): Promise<number> {
  const planned = packs.map((needed) => ({ needed, stream: packStream(needed) }));
  using host = asOneTask(
    point.key,
    planned.map(({ stream }) => stream),
    check.host,
  );
  const concurrency = Math.max(1, Math.min(availableParallelism(), MAX_PACKS, packs.length));
  const streams = Math.max(MIN_STREAMS, Math.ceil(check.streams / concurrency));
  let fetchedBytes = 0;
  await inParallel(planned, concurrency, check.signal, async ({ needed, stream }, signal) => {
    const sink = { kind: 'image', path, isBlank, table, ...stream } as const;
    const services = { ...check, host, streams, signal };
    const found = await writeObject(packAsObject(needed, point), needed.list.snapshot, sink, services);
    onPack(needed, found);
    assertNoDifferences(found, loss);
    fetchedBytes += found.fetchedBytes;
  });
  return fetchedBytes;
}

/** Compares the target with the blocks of each pack, up to the first one that it does not contain. */
async function remainingPacks({
  opened: { point, table },
  packs,
  target: { path },
  check: { host, signal },
}: PointOrder): Promise<NeededPack[]> {
  const rest: NeededPack[] = [];
  let bytes = 0;
  const expectedBytes = packs.reduce((sum, { positions }) => sum + positions.length, 0) * table.blockBytes;
  using _shown = host.track({ label: `existing data of ${path}`, expectedBytes, read: () => bytes, stored: null });
  await using written = await ImageBlocks.open(path, table, signal);
  for (const needed of packs) {
    const positions = await remaining(needed, written, table, (count) => {
      bytes += count;
    });
    if (positions.length > 0) rest.push({ ...needed, positions });
  }
  const { key, content } = point;
  if (bytes > 0) host.notify({ code: 'restore.continued', snapshot: content.snapshot.id, key, files: null, bytes });
  return rest;
}

async function remaining(
  needed: NeededPack,
  written: ImageBlocks,
  table: BlockTable,
  onBytes: (count: number) => void,
): Promise<readonly number[]> {
  const { positions } = needed;
  for (let from = 0; from < positions.length; ) {
    const first = indexAt(needed, from);
    let to = from + 1;
    while (to < positions.length && indexAt(needed, to) === first + to - from) to++;
    const range = { first, end: first + to - from };
    const found = await firstMismatch(written, table, range, onBytes);
    if (found < range.end) return positions.slice(from + found - first);
    from = to;
  }
  return [];
}

const indexAt = ({ list, positions }: NeededPack, at: number): number => list.indexes[positions[at] ?? 0] ?? 0;

/** Writes zeros where the target has other data. */
async function writeZeros(path: string, table: BlockTable, signal: AbortSignal): Promise<void> {
  const runs = zeroRuns(table);
  if (runs.length === 0) return;
  const { readEnd, writeEnd } = await makePipe();
  closeAll([writeEnd]);
  try {
    await consumeInThreads(readEnd, { kind: 'image', path, isBlank: false, table, runs }, signal);
  } finally {
    closeAll([readEnd]);
  }
}

/** The blocks that are not in the stream of any pack. */
export function zeroRuns({ kinds }: BlockTable): BlockRun[] {
  const runs: BlockRun[] = [];
  for (let from = kinds.indexOf(BLOCK_KIND.zero); from >= 0; ) {
    let to = from + 1;
    while (kinds[to] === BLOCK_KIND.zero) to++;
    runs.push({ from, to, isFetched: false });
    from = kinds.indexOf(BLOCK_KIND.zero, to);
  }
  return runs;
}
