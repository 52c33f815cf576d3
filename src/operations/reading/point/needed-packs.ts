/** The packs that a point needs. Everything that reads, thaws, checks or removes packs asks here. */
import type { BlockList, StoredPack } from '../../../archive/points/block-list.ts';
import { PLACE } from '../../../archive/points/point-map.ts';
import type { OpenPoint } from './open-point.ts';

/** A pack of which the point uses at least one block. */
export interface NeededPack {
  readonly pack: StoredPack;
  readonly list: BlockList;
  /** The positions in the list of the blocks that the point uses, in ascending order. */
  readonly positions: readonly number[];
}

/** @returns the packs in the order of the generations, and of the disk within each. */
export function neededPacks({ map, lists }: Pick<OpenPoint, 'map' | 'lists'>): NeededPack[] {
  return lists.flatMap((list, generation) =>
    list.packs.flatMap((pack) => {
      const positions: number[] = [];
      for (let at = pack.first; at < pack.end; at++) {
        if (map.places[list.indexes[at] ?? -1] === PLACE.first + generation) positions.push(at);
      }
      return positions.length > 0 ? [{ pack, list, positions }] : [];
    }),
  );
}
