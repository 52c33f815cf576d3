/** Any point, in packs of any generations, becomes the same snapshot, wherever the runs that write it are killed. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { BLOCK_KIND, HASH_BYTES, newTable } from '../../../../../src/archive/block-table.ts';
import type { BlockList, StoredPack } from '../../../../../src/archive/points/block-list.ts';
import { newPlaces, PLACE } from '../../../../../src/archive/points/point-map.ts';
import { BLOCK_BYTES } from '../../../../../src/cloud/blocks.ts';
import type { FoundPoint } from '../../../../../src/operations/reading/point/found-point.ts';
import { neededPacks } from '../../../../../src/operations/reading/point/needed-packs.ts';
import { fillFromPacks } from '../../../../../src/operations/restore/point/fill-from-packs.ts';
import { fullOr } from '../../../../support/sampled.ts';
import { through } from '../../../../support/tamper.ts';
import { NewSnapshot } from '../memory-cloud.ts';

type Codec = 'lz4' | 'zstd';

/** The contents of blocks: most of them cannot be compressed, so that ranges of a pack are left out. */
const CONTENTS = Array.from({ length: 12 }, (_, number) =>
  number % 4 === 0 ? Buffer.alloc(BLOCK_BYTES, `${number} `) : randomBytes(BLOCK_BYTES),
);

const frames = new Map<string, Buffer>();

async function frameOf(content: number, codec: Codec): Promise<Buffer> {
  const name = `${content} ${codec}`;
  const plain = CONTENTS[content] ?? assert.fail(name);
  const made =
    frames.get(name) ?? (codec === 'zstd' ? zstdCompressSync(plain) : await through(['lz4', '-1', '-q', '-c'], plain));
  frames.set(name, made);
  return made;
}

const SAMPLES = fc.record({
  codec: fc.constantFrom<Codec>('lz4', 'zstd'),
  blocks: fc.integer({ min: 1, max: 40 }),
  /** What each generation stores: the content of each block, or `null`. A later one replaces the blocks of an earlier one. */
  generations: fc.array(
    fc.array(fc.option(fc.nat(CONTENTS.length - 1), { freq: 3 }), { minLength: 40, maxLength: 40 }),
    { minLength: 1, maxLength: 3 },
  ),
  /** Blocks that are zeros in the end, although generations may have them. */
  zeros: fc.array(fc.nat(39), { maxLength: 10 }),
  blocksPerPack: fc.integer({ min: 1, max: 20 }),
  isEncrypted: fc.boolean(),
  kills: fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 3 }),
});

type Sample = typeof SAMPLES extends fc.Arbitrary<infer T> ? T : never;

/** Stores one generation in packs. */
async function store(
  number: number,
  contents: readonly (number | null)[],
  { codec, blocks, blocksPerPack }: Sample,
  objects: Map<string, Buffer>,
): Promise<BlockList> {
  const stored = contents.slice(0, blocks).flatMap((content, index) => (content === null ? [] : [{ index, content }]));
  const packs: StoredPack[] = [];
  const places: number[] = [];
  const hashes: Buffer[] = [];
  for (let first = 0; first < stored.length; first += blocksPerPack) {
    const end = Math.min(stored.length, first + blocksPerPack);
    const body: Buffer[] = [];
    let bytes = 0;
    for (const { content } of stored.slice(first, end)) {
      places.push(bytes);
      hashes.push(
        createHash('sha256')
          .update(CONTENTS[content] ?? '')
          .digest(),
      );
      body.push(await frameOf(content, codec));
      bytes += body.at(-1)?.length ?? 0;
    }
    const key = `${number}.${first}`;
    objects.set(key, Buffer.concat(body));
    packs.push({ key, bytes, etag: 'e', crc32: null, codec, cipher: 'none', first, end });
  }
  return {
    snapshot: `snap-${number}`,
    bytes: blocks * BLOCK_BYTES,
    blockBytes: BLOCK_BYTES,
    packs,
    indexes: Uint32Array.from(stored, ({ index }) => index),
    hashes: Buffer.concat(hashes),
    places: Float64Array.from(places),
  };
}

/** Returns the opened point, its packs and the bytes of its disk. */
async function pointOf(sample: Sample) {
  const objects = new Map<string, Buffer>();
  const lists: BlockList[] = [];
  const bytes = sample.blocks * BLOCK_BYTES;
  const disk = Buffer.alloc(bytes);
  const places = newPlaces(bytes, BLOCK_BYTES);
  const table = newTable(bytes, BLOCK_BYTES);
  table.kinds.fill(BLOCK_KIND.zero);
  for (const [number, contents] of sample.generations.entries()) {
    const list = await store(number, contents, sample, objects);
    lists.push(list);
    for (const [at, index] of list.indexes.entries()) {
      if (sample.zeros.includes(index)) continue;
      places[index] = PLACE.first + number;
      table.kinds[index] = BLOCK_KIND.data;
      table.hashes.set(list.hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES), index * HASH_BYTES);
      CONTENTS[contents[index] ?? -1]?.copy(disk, index * BLOCK_BYTES);
    }
  }
  const map = { bytes, blockBytes: BLOCK_BYTES, generations: lists.map(({ snapshot }) => snapshot), places };
  const content = { snapshot: { id: 'snap-point' }, point: { compressionLevel: 1 }, sealed: null };
  const point = { key: 'manifest', etag: 'e', content } as unknown as FoundPoint;
  return { opened: { point, map, lists, table }, packs: neededPacks({ map, lists }), objects, disk };
}

async function check(sample: Sample): Promise<void> {
  const { opened, packs, objects, disk } = await pointOf(sample);
  const { isEncrypted, kills } = sample;
  const snapshot = new NewSnapshot(isEncrypted);
  // The last run resumes after the last block.
  for (const puts of [...kills, null, null]) {
    const started = { id: 'snap-new', isEncrypted, block: snapshot.checkpoint };
    const filled = await snapshot.run(puts, objects, (services, context, checkpoint) =>
      fillFromPacks({ opened, packs, started, checkpoint }, services, context),
    );
    if (filled) snapshot.assertIs(disk, filled.tally);
  }
}

test('any point, encrypted or not, killed after any blocks', async () => {
  const numRuns = fullOr('random points', 300, 10);
  await fc.assert(fc.asyncProperty(SAMPLES, check), { numRuns, endOnFailure: true });
});
