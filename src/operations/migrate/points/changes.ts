/** Finds the blocks that a point must store, because the generations of its parent do not hold them. */
import { BLOCK_KIND, type BlockTable, hashAt } from '../../../archive/block-table.ts';
import { newPlaces, PLACE, type PointMap } from '../../../archive/points/point-map.ts';
import { BLOCK_BYTES } from '../../../cloud/blocks.ts';
import { isZeroBlock } from '../../source/snapshot-image.ts';
import type { PointSource } from './point-source.ts';

export interface Changes {
  /** The blocks to store, in ascending order. */
  readonly stored: Uint32Array;
  /** The places of all other blocks, by the generations of the parent. */
  readonly places: Uint16Array;
}

/** Stores all blocks that have data. */
export async function changesOfBase(source: PointSource, signal: AbortSignal): Promise<Changes> {
  const stored: number[] = [];
  const places = newPlaces(source.diskBytes, BLOCK_BYTES);
  if (source.written) {
    for await (const index of source.written(signal)) stored.push(index);
    return { stored: Uint32Array.from(stored), places };
  }
  for await (const { index, block, release } of source.read(null, signal)) {
    if (isZeroBlock(block.bytes)) places[index] = PLACE.zero;
    else stored.push(index);
    release();
  }
  return { stored: Uint32Array.from(stored), places };
}

/**
 * Stores the blocks that EBS reports as changed. Blocks that the parent does not know are stored, too, and blocks that are
 * no longer written are absent, so that the result is right whatever EBS reports about growth and removed blocks.
 * @param changed the blocks that differ from those of the parent, whether they are written now or not.
 * @param written all blocks that are written now.
 */
export async function changesByEbs(
  parent: PointMap,
  diskBytes: number,
  changed: AsyncIterable<{ index: number }>,
  written: AsyncIterable<number>,
): Promise<Changes> {
  const places = newPlaces(diskBytes, BLOCK_BYTES);
  const isChanged = new Uint8Array(places.length);
  for await (const { index } of changed) isChanged[index] = 1;
  const stored: number[] = [];
  for await (const index of written) {
    const before = parent.places[index] ?? PLACE.absent;
    if (isChanged[index] || before === PLACE.absent) stored.push(index);
    else places[index] = before;
  }
  return { stored: Uint32Array.from(stored), places };
}

/** Reads all blocks, and stores those whose SHA-256 differs from that of the parent. */
export async function changesByHash(
  parent: PointMap,
  table: BlockTable,
  source: PointSource,
  signal: AbortSignal,
): Promise<Changes> {
  const places = newPlaces(source.diskBytes, BLOCK_BYTES);
  const stored: number[] = [];
  for await (const { index, block, release } of source.read(null, signal)) {
    const isKnown =
      table.kinds[index] === BLOCK_KIND.data && Buffer.from(block.sha256, 'base64').equals(hashAt(table, index));
    if (isZeroBlock(block.bytes)) places[index] = PLACE.zero;
    else if (isKnown) places[index] = parent.places[index] ?? PLACE.absent;
    else stored.push(index);
    release();
  }
  return { stored: Uint32Array.from(stored), places };
}
