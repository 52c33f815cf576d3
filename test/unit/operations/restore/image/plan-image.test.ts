/** The fetched and the skipped runs of an image together are the whole image. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BLOCK_KIND, type ImageIndex, newTable } from '../../../../../src/archive/block-table.ts';
import type { Place } from '../../../../../src/archive/file-index.ts';
import { FRAME_END, FRAME_HEADER } from '../../../../../src/archive/lz4-frame.ts';
import type { ManifestObject } from '../../../../../src/archive/manifest.ts';
import type { ArchivedObject } from '../../../../../src/operations/reading/find-archive.ts';
import { ImagePlan, type SegmentStream } from '../../../../../src/operations/restore/image/plan-image.ts';

const MiB = 2 ** 20;
const PIECE = 4 * MiB;
const PER_PIECE = 8;

interface Sample {
  zeros: boolean[];
  codec: 'lz4' | 'zstd';
  lastBlock: number;
  most: number;
}

const SAMPLES: fc.Arbitrary<Sample> = fc.record({
  zeros: fc
    .array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 30 })), { minLength: 1, maxLength: 8 })
    .map((runs) => runs.flatMap(([isZero, length]) => Array.from({ length }, () => isZero))),
  codec: fc.constantFrom('lz4', 'zstd'),
  lastBlock: fc.integer({ min: 1, max: PIECE / PER_PIECE }),
  most: fc.integer({ min: 1, max: 6 }),
});

/** Stores each piece as 1,000 bytes, or as 10 if it is zero. */
function sampleOf({ zeros, codec, lastBlock }: Sample) {
  const table = newTable((zeros.length * PER_PIECE - 1) * (PIECE / PER_PIECE) + lastBlock, PIECE / PER_PIECE);
  for (const [piece, isZero] of zeros.entries())
    table.kinds.fill(isZero ? BLOCK_KIND.zero : BLOCK_KIND.data, piece * PER_PIECE, (piece + 1) * PER_PIECE);
  const pieces: Place[] = [];
  let stored = codec === 'lz4' ? 7 : 0;
  for (const [piece, isZero] of zeros.entries()) {
    pieces.push({ plain: piece * PIECE, stored });
    stored += isZero ? 10 : 1000;
  }
  pieces.push({ plain: codec === 'lz4' ? zeros.length * PIECE : table.bytes, stored });
  const facts = { plainBytes: table.bytes, storedBytes: stored + 8, index: {} } as ManifestObject;
  const object: ArchivedObject = { key: 'k', partition: null, layout: 'image', codec, cipher: 'none', facts };
  return { object, index: { table, pieces, storedBytes: 1 } };
}

/** @returns the block after the last run. */
function checkStream({ runs, extents }: SegmentStream, { table, pieces }: ImageIndex, firstBlock: number): number {
  let block = firstBlock;
  let fetched = 0;
  for (const { from, to, isFetched } of runs) {
    assert.equal(from, block);
    assert.ok(to > from);
    block = to;
    if (isFetched) fetched += Math.ceil((to - from) / PER_PIECE);
    else assert.ok(table.kinds.subarray(from, to).every((kind) => kind === BLOCK_KIND.zero));
  }
  let decoded = 0;
  for (const extent of extents) {
    if (Buffer.isBuffer(extent)) continue;
    const [from, to] = [extent.from, extent.to].map((place) => pieces.findIndex(({ stored }) => stored === place));
    assert.ok(from !== undefined && to !== undefined && from >= 0 && to > from, 'whole pieces');
    decoded += to - from;
  }
  assert.equal(decoded, fetched);
  return block;
}

test('segments are contiguous; each stream has every block once, except for skipped zeros', () => {
  const property = fc.property(SAMPLES, (sample) => {
    const { object, index } = sampleOf(sample);
    const plan = ImagePlan.of(object, index);
    assert.ok(plan);
    const segments = plan.split(sample.most);
    assert.ok(segments.length <= sample.most, 'too many segments');
    let [piece, block] = [0, 0];
    for (const segment of segments) {
      assert.equal(segment.first, piece);
      piece = segment.end;
      const stream = plan.streamOf(segment);
      block = checkStream(stream, index, block);
      if (sample.codec === 'lz4' && stream.runs.some(({ isFetched }) => isFetched))
        assert.deepEqual([stream.extents[0], stream.extents.at(-1)], [FRAME_HEADER, FRAME_END]);
    }
    assert.equal(piece, index.pieces.length - 1);
    assert.equal(block, index.table.kinds.length);
  });
  fc.assert(property);
});

test('long zeros are not fetched', () => {
  const zeros = [false, ...Array<boolean>(20).fill(true), false];
  const { object, index } = sampleOf({ zeros, codec: 'zstd', lastBlock: 1, most: 1 });
  const plan = ImagePlan.of(object, index);
  const [segment] = plan?.split(1) ?? [];
  assert.ok(plan && segment);
  assert.deepEqual(plan.streamOf(segment).extents, [
    { from: 0, to: 1000 },
    { from: 1200, to: 2200 },
  ]);
});

test('there is no plan if a block is unknown or contradictory', () => {
  const fresh = () => sampleOf({ zeros: [false, true, false], codec: 'lz4', lastBlock: 100, most: 1 });
  const isPlanned = ({ object, index }: ReturnType<typeof fresh>) => ImagePlan.of(object, index) !== null;
  assert.ok(isPlanned(fresh()));
  const unknown = fresh();
  unknown.index.table.kinds[3] = BLOCK_KIND.unknown;
  const headless = fresh();
  headless.index.pieces.shift();
  const endless = fresh();
  endless.index.pieces.pop();
  const crooked = fresh();
  crooked.index.pieces[1] = { plain: PIECE + 1, stored: 1007 };
  const other = fresh();
  if (other.object.facts) other.object.facts.plainBytes--;
  const outside = fresh();
  if (outside.object.facts) outside.object.facts.storedBytes = 100;
  const none = fresh();
  none.object.facts = null;
  for (const sample of [unknown, headless, endless, crooked, other, outside, none]) assert.ok(!isPlanned(sample));
});
