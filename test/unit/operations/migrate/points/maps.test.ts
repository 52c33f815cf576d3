/** Chains of points of random volumes: the map of each point leads to the blocks of its snapshot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PLACE, type PointMap } from '../../../../../src/archive/points/point-map.ts';
import { changesByEbs, changesOfBase } from '../../../../../src/operations/migrate/points/changes.ts';
import { newMap } from '../../../../../src/operations/migrate/points/new-map.ts';
import { seededRandom } from '../../../../support/sampled.ts';

const BLOCK = 524_288;
const random = seededRandom();
const below = (limit: number): number => Math.floor(random() * limit);
const signal = new AbortController().signal;

/** The content of a block: a number, 0 for zeros; `null` if it was never written. */
type Disk = readonly (number | null)[];

let contents = 0;

function nextDisk(before: Disk): Disk {
  const grown = [...before, ...Array<null>(random() < 0.2 ? below(20) : 0).fill(null)];
  return grown.map((content) => {
    const kind = random();
    if (kind < 0.1) return ++contents;
    if (kind < 0.13) return 0;
    return kind < 0.16 ? null : content;
  });
}

async function* each<T>(values: readonly T[]): AsyncGenerator<T> {
  yield* values;
}

const indexesOf = (disk: Disk, isWanted: (index: number) => boolean): number[] =>
  disk.flatMap((_, index) => (isWanted(index) ? [index] : []));

/** What EBS lists. It may also list blocks that have not changed. */
const changesOf = (before: Disk, after: Disk) =>
  indexesOf(after, (index) => after[index] !== (before[index] ?? null) || random() < 0.02).map((index) => ({ index }));

interface Stored {
  disk: Disk;
  map: PointMap;
  /** The content of the blocks that the generation of the snapshot holds. */
  blocks: ReadonlyMap<number, number>;
}

async function store(name: string, disk: Disk, parent: Stored | null): Promise<Stored> {
  const written = indexesOf(disk, (index) => disk[index] !== null);
  const diskBytes = disk.length * BLOCK;
  const source = { diskBytes, written: () => each(written), read: () => assert.fail('nothing is read') };
  const changes = parent
    ? await changesByEbs(parent.map, diskBytes, each(changesOf(parent.disk, disk)), each(written))
    : await changesOfBase(source, signal);
  const indexes = changes.stored;
  const zeros = Uint8Array.from(indexes, (index) => (disk[index] === 0 ? 1 : 0));
  const { map, used } = newMap(diskBytes, parent?.map.generations ?? [], changes, { snapshot: name, indexes }, zeros);
  const places = [...map.places];
  assert.deepEqual(
    used.map((generation) => generation.used),
    map.generations.map((_, at) => places.filter((place) => place === PLACE.first + at).length),
  );
  assert.ok(used.every((generation) => generation.used > 0));
  return { disk, map, blocks: new Map([...indexes].map((index) => [index, disk[index] ?? 0])) };
}

test('the map of each point of a chain leads to the blocks of its snapshot', async () => {
  for (let round = 0; round < 40; round++) {
    const points = new Map<string, Stored>();
    let disk: Disk = Array<null>(1 + below(60)).fill(null);
    let parent: Stored | null = null;
    for (let number = 0; number < 8; number++) {
      disk = nextDisk(disk);
      parent = await store(`snap-${number}`, disk, random() < 0.1 ? null : parent);
      points.set(`snap-${number}`, parent);
      for (const [index, place] of parent.map.places.entries()) {
        const generation = points.get(parent.map.generations[place - PLACE.first] ?? '');
        const found = place < PLACE.first ? 0 : generation?.blocks.get(index);
        assert.equal(found, disk[index] ?? 0, `block ${index} of snap-${number}`);
      }
    }
  }
});
