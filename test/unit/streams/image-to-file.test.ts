/** Any image, compressed by the real programs and written over any data in the ranges of its plan, is restored. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { BLOCK_KIND, HASH_BYTES, newTable } from '../../../src/archive/block-table.ts';
import { ByteStream } from '../../../src/archive/byte-stream.ts';
import type { Place } from '../../../src/archive/file-index.ts';
import type { ManifestObject } from '../../../src/archive/manifest.ts';
import type { ArchivedObject } from '../../../src/operations/reading/find-archive.ts';
import { ImagePlan, type PieceRange } from '../../../src/operations/restore/image/plan-image.ts';
import { restOf } from '../../../src/operations/restore/image/resume-image.ts';
import { writeImageStream } from '../../../src/streams/image-to-file.ts';
import { temporaryDirectory } from '../../support/lab.ts';
import { FULL } from '../../support/sampled.ts';
import { through } from '../../support/tamper.ts';
import { Lz4Blocks } from './lz4-blocks.ts';

const PIECE = 4 * 2 ** 20;
const BLOCK = 512 * 1024;

const DECOMPRESS = { lz4: ['lz4', '-d', '-q', '-c'], zstd: ['zstd', '-d', '-q', '-c'] };

interface Stored {
  body: Buffer;
  pieces: Place[];
}

/** An image that was read from a volume is one frame. Its blocks are the pieces. */
async function asBlocks(image: Buffer): Promise<Stored> {
  const body = await through(['lz4', '-1', '-q', '-c'], image);
  const pieces: Place[] = [];
  new Lz4Blocks((place) => pieces.push(place)).take(body);
  return { body, pieces };
}

/** An image from direct reads has one frame for each piece. */
async function asFrames(image: Buffer, compress: (piece: Buffer) => Buffer | Promise<Buffer>): Promise<Stored> {
  const frames: Buffer[] = [];
  const pieces: Place[] = [];
  let stored = 0;
  for (let plain = 0; plain < image.length; plain += PIECE) {
    pieces.push({ plain, stored });
    const frame = await compress(image.subarray(plain, plain + PIECE));
    frames.push(frame);
    stored += frame.length;
  }
  return { body: Buffer.concat(frames), pieces };
}

const ZEROS = Buffer.alloc(PIECE);
let zeroFrame: Buffer | null = null;

/** Compresses a piece of zeros only once. */
async function lz4Frame(piece: Buffer): Promise<Buffer> {
  const isZero = piece.equals(ZEROS);
  if (isZero && zeroFrame) return zeroFrame;
  const frame = await through(['lz4', '-1', '-q', '-c'], piece);
  if (isZero) zeroFrame = frame;
  return frame;
}

const WAYS = {
  'lz4 blocks': { codec: 'lz4', store: asBlocks },
  'lz4 frames': { codec: 'lz4', store: (image: Buffer) => asFrames(image, lz4Frame) },
  'zstd frames': { codec: 'zstd', store: (image: Buffer) => asFrames(image, (piece) => zstdCompressSync(piece)) },
} as const;

/** The content of the target before: nothing, the whole image, only its beginning, or other data. */
const BEFORE = ['nothing', 'everything', 'a beginning', 'noise'] as const;

const RUN = fc.oneof(
  fc.record({ isZero: fc.constant(true), pieces: fc.integer({ min: 1, max: 10 }) }),
  fc.record({ isZero: fc.constant(false), pieces: fc.integer({ min: 1, max: 2 }) }),
);

const SAMPLES = fc.record({
  way: fc.constantFrom(...(Object.keys(WAYS) as (keyof typeof WAYS)[])),
  runs: fc.array(RUN, { minLength: 1, maxLength: 4 }),
  // For less than 1 MiB, lz4 uses smaller blocks, and there is no plan.
  cut: fc.integer({ min: 0, max: PIECE - 2 ** 20 - 1 }),
  before: fc.constantFrom(...BEFORE),
  most: fc.integer({ min: 1, max: 4 }),
});

type Sample = typeof SAMPLES extends fc.Arbitrary<infer T> ? T : never;

/** Pieces that are not zero end with blocks of zeros. */
function imageOf({ runs, cut }: Sample): Buffer {
  const pieces = runs.flatMap(({ isZero, pieces: count }) =>
    Array.from({ length: count }, () =>
      isZero ? Buffer.alloc(PIECE) : Buffer.concat([randomBytes(3 * BLOCK), Buffer.alloc(PIECE - 3 * BLOCK)]),
    ),
  );
  const image = Buffer.concat(pieces);
  return image.subarray(0, image.length - cut);
}

async function planOf(image: Buffer, way: keyof typeof WAYS) {
  const { codec, store } = WAYS[way];
  const { body, pieces } = await store(image);
  const table = newTable(image.length, BLOCK);
  for (const [index] of table.kinds.entries()) {
    const block = image.subarray(index * BLOCK, (index + 1) * BLOCK);
    const isZero = block.equals(Buffer.alloc(block.length));
    table.kinds[index] = isZero ? BLOCK_KIND.zero : BLOCK_KIND.data;
    if (!isZero) table.hashes.set(createHash('sha256').update(block).digest(), index * HASH_BYTES);
  }
  const facts = { plainBytes: image.length, storedBytes: body.length, index: {} } as ManifestObject;
  const object: ArchivedObject = { key: 'k', partition: null, layout: 'image', codec, cipher: 'none', facts };
  const plan = ImagePlan.of(object, { table, pieces, storedBytes: 1 });
  assert.ok(plan);
  return { plan, body, codec };
}

function prepare(path: string, image: Buffer, before: Sample['before']): void {
  const content = {
    nothing: () => Buffer.alloc(0),
    everything: () => image,
    'a beginning': () => image.subarray(0, image.length >> 1),
    noise: () => randomBytes(image.length),
  };
  writeFileSync(path, content[before]());
}

type Planned = Awaited<ReturnType<typeof planOf>>;

/** Does the part of a restore that the decompressors and the writing thread do. */
async function write(
  path: string,
  segment: PieceRange,
  isBlank: boolean,
  { plan, body, codec }: Planned,
): Promise<void> {
  const { runs, extents } = plan.streamOf(segment);
  const stream = extents.map((extent) => (Buffer.isBuffer(extent) ? extent : body.subarray(extent.from, extent.to)));
  // If nothing was fetched, nothing is decoded, as in a restore.
  const stored = Buffer.concat(stream);
  const chunks = stored.length === 0 ? [] : [await through(DECOMPRESS[codec], stored)];
  const found = writeImageStream(new ByteStream(() => chunks.shift() ?? Buffer.alloc(0)), {
    path,
    isBlank,
    table: plan.table,
    runs,
  });
  assert.equal(found.differences.count, 0);
}

const check = (t: TestContext) => {
  const path = join(temporaryDirectory(t), 'image');
  return async (sample: Sample): Promise<void> => {
    const image = imageOf(sample);
    const planned = await planOf(image, sample.way);
    const isBlank = sample.before === 'nothing';
    prepare(path, image, sample.before);
    for (const segment of planned.plan.split(sample.most)) {
      const rest = isBlank ? segment : await restOf(planned.plan, segment, path, t.signal);
      await write(path, rest, isBlank, planned);
    }
    truncateSync(path, image.length);
    assert.ok(readFileSync(path).equals(image), 'it is the image');
  };
};

for (const way of Object.keys(WAYS) as (keyof typeof WAYS)[]) {
  test(`${way}: only zeros, and existing data`, async (t) => {
    const zeros = { way, runs: [{ isZero: true, pieces: 10 }], cut: 0, most: 1 };
    await check(t)({ ...zeros, before: 'nothing' });
    const noise = { ...zeros, runs: [{ isZero: false, pieces: 1 }], before: 'everything' as const };
    await check(t)(noise);
  });
}

test('any image, with any codec, over any existing data, in any number of segments', async (t) => {
  await fc.assert(fc.asyncProperty(SAMPLES, check(t)), { numRuns: FULL ? 200 : 10, endOnFailure: true });
});
