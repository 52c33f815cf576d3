/** Chooses the blocks of a snapshot that are compared with a device. */
import { BLOCK_BYTES, type BlockRef, type SnapshotBlocks } from '../../cloud/blocks.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { LocatedDevice } from '../../host/devices/block-devices.ts';
import { type Partition, readPartitionTable } from '../../host/disks/partition-table.ts';
import { BLOCKS_PER_PAGE } from '../../lib/aws-limits.ts';
import { KiB, MiB } from '../../lib/units.ts';

/**
 * Maximum number of blocks to read of a device with a serial number. Blocks of zeros prove nothing, and replayed blocks
 * differ.
 */
const MAX_READS = 8;

/** Number of blocks that are spread over the whole disk. */
const SPREAD = 8;

/** Maximum number of partitions whose first blocks are compared. */
const MAX_PARTITIONS = 5;

/** Offset of the superblock of ext in its filesystem. Those of most other filesystems are before it. */
const SUPERBLOCK = KiB;

/**
 * Where filesystems start in a partition, in MiB: at its beginning, in the first volume of LVM (1), in LUKS 1 (2) and 2
 * (16), and in the first volume of LVM in LUKS. The labels of LVM and LUKS themselves do not distinguish copies of a
 * disk.
 */
const FILESYSTEM_STARTS = [0, 1, 2, 3, 16, 17];

/**
 * For a device that only its name identifies, the blocks with the superblocks of the largest partitions, and blocks
 * from the whole disk, are chosen as well: disks that were started from the same machine image have most blocks in
 * common.
 */
export async function samplesOf(
  { snapshot, device }: { snapshot: Snapshot; device: LocatedDevice },
  blocks: SnapshotBlocks,
  signal: AbortSignal,
): Promise<BlockRef[]> {
  const listing = new Listing((from) => blocks.list(snapshot.id, from, { signal }));
  const firstPage = await listing.pageFrom(0);
  if (device.identifiedBy === 'serial') return distinct(usualSample(firstPage)).slice(0, MAX_READS);
  const table = await partitionsOn(device.path, signal);
  const partitions = table.length > 0 ? table : [{ start: 0, size: device.size }];
  const found = [firstPage[0]];
  for (const range of [...startsOf(partitions), ...spreadOver(device.size)]) found.push(await listing.firstIn(range));
  return distinct([...found, ...usualSample(firstPage)]);
}

const distinct = (found: readonly (BlockRef | undefined)[]): BlockRef[] => [
  ...new Map(found.flatMap((block) => (block ? [[block.index, block]] : []))).values(),
];

/**
 * The first block of the disk; the first block at 1 MiB, where the first partition usually starts; then blocks that are
 * spread over the rest.
 */
function usualSample(written: readonly BlockRef[]): (BlockRef | undefined)[] {
  const spread = Array.from(
    { length: MAX_READS },
    (_, index) => written[Math.floor(((2 * index + 1) * written.length) / (2 * MAX_READS))],
  );
  const half = MAX_READS / 2;
  const usual = written.find(({ index }) => index >= MiB / BLOCK_BYTES);
  return [written[0], usual, ...spread.slice(half), ...spread.slice(0, half)];
}

/** Bytes on the disk. */
interface Range {
  start: number;
  end: number;
}

/** Superblocks contain times and counters, which distinguish disks that were started from the same machine image. */
function startsOf(partitions: readonly Pick<Partition, 'start' | 'size'>[]): Range[] {
  const largest = partitions.toSorted((one, other) => other.size - one.size).slice(0, MAX_PARTITIONS);
  return largest.flatMap(({ start, size }) =>
    FILESYSTEM_STARTS.map((offset) => ({ start: start + offset * MiB + SUPERBLOCK, end: start + size })),
  );
}

const spreadOver = (size: number): Range[] =>
  Array.from({ length: SPREAD }, (_, index) => ({ start: ((2 * index + 1) * size) / (2 * SPREAD), end: size }));

/** The written blocks of a snapshot. It lists only the pages that are needed, because each takes a request. */
class Listing {
  readonly #list: (from: number) => AsyncGenerator<BlockRef>;
  readonly #pages: { from: number; blocks: BlockRef[] }[] = [];

  constructor(list: (from: number) => AsyncGenerator<BlockRef>) {
    this.#list = list;
  }

  /** @returns the first written block in the range. */
  async firstIn({ start, end }: Range): Promise<BlockRef | undefined> {
    const from = Math.floor(start / BLOCK_BYTES);
    const known = this.#pages.find((page) => page.from <= from && from <= lastCoveredBy(page.blocks));
    const page = known?.blocks ?? (await this.pageFrom(from));
    const block = page.find(({ index }) => index >= from);
    return block && block.index * BLOCK_BYTES < end ? block : undefined;
  }

  async pageFrom(from: number): Promise<readonly BlockRef[]> {
    const blocks: BlockRef[] = [];
    this.#pages.push({ from, blocks });
    for await (const block of this.#list(from)) {
      blocks.push(block);
      if (blocks.length === BLOCKS_PER_PAGE) break;
    }
    return blocks;
  }
}

/** A page that is not full is the last one. */
const lastCoveredBy = (page: readonly BlockRef[]): number =>
  page.length < BLOCKS_PER_PAGE ? Number.POSITIVE_INFINITY : (page.at(-1)?.index ?? 0);

/** @returns an empty list for a table that cannot be read. */
async function partitionsOn(device: string, signal: AbortSignal): Promise<Partition[]> {
  try {
    return (await readPartitionTable(device, signal)).partitions;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SnapError) return [];
    throw error;
  }
}
