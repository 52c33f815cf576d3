/** The map of a new point: the blocks that its parent's generations hold, and those that it stores itself. */
import type { BlockList } from '../../../archive/points/block-list.ts';
import { PLACE, type PointMap } from '../../../archive/points/point-map.ts';
import { BLOCK_BYTES } from '../../../cloud/blocks.ts';
import type { Changes } from './changes.ts';

/** A generation that a new map refers to. */
export interface UsedGeneration {
  readonly snapshot: string;
  /** Number of blocks in it that the point uses. */
  readonly used: number;
}

export interface NewMap {
  readonly map: PointMap;
  /** The generations of the map, in its order. */
  readonly used: readonly UsedGeneration[];
}

/**
 * @param known the generations of the parent, by which the places in `changes` are numbered.
 * @param own the blocks that the point stores. @param zeros 1 for those that are zeros, by their positions in `own`.
 * @returns a map with only those generations of which the point uses at least one block.
 */
export function newMap(
  diskBytes: number,
  known: readonly string[],
  { places }: Changes,
  own: Pick<BlockList, 'snapshot' | 'indexes'>,
  zeros: Uint8Array,
): NewMap {
  const all = [...known, own.snapshot];
  const merged = Uint16Array.from(places);
  const ownPlace = PLACE.first + known.length;
  for (let at = 0; at < own.indexes.length; at++) merged[own.indexes[at] ?? 0] = zeros[at] ? PLACE.zero : ownPlace;
  const counts = countPlaces(merged, all.length);
  const kept = all.flatMap((snapshot, at) => {
    const used = counts[at] ?? 0;
    return used > 0 ? [{ snapshot, used, from: PLACE.first + at }] : [];
  });
  const numbers = Uint16Array.from({ length: PLACE.first + all.length }, (_, place) => place);
  for (const [at, { from }] of kept.entries()) numbers[from] = PLACE.first + at;
  renumber(merged, numbers);
  const generations = kept.map(({ snapshot }) => snapshot);
  return {
    map: { bytes: diskBytes, blockBytes: BLOCK_BYTES, generations, places: merged },
    used: kept.map(({ snapshot, used }) => ({ snapshot, used })),
  };
}

/** Counts the blocks of each generation. A map may have millions of blocks, so this is a plain loop. */
function countPlaces(places: Uint16Array, generations: number): Float64Array {
  const counts = new Float64Array(generations);
  for (let index = 0; index < places.length; index++) {
    const generation = (places[index] ?? 0) - PLACE.first;
    if (generation >= 0) counts[generation] = (counts[generation] ?? 0) + 1;
  }
  return counts;
}

/** @param numbers the new number of each place. */
function renumber(places: Uint16Array, numbers: Uint16Array): void {
  for (let index = 0; index < places.length; index++) places[index] = numbers[places[index] ?? 0] ?? 0;
}
