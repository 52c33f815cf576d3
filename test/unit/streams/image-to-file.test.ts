/** Any image, compressed by the real programs and written over any data in the ranges of its plan, is restored. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { ByteStream } from '../../../src/archive/byte-stream.ts';
import type { PieceRange } from '../../../src/operations/restore/image/plan-image.ts';
import { restOf } from '../../../src/operations/restore/image/resume-image.ts';
import { writeImageStream } from '../../../src/streams/image-to-file.ts';
import { temporaryDirectory } from '../../support/lab.ts';
import { fullOr } from '../../support/sampled.ts';
import { through } from '../../support/tamper.ts';
import { IMAGES, imageOf, planOf, WAYS } from './planned-images.ts';

const DECOMPRESS = { lz4: ['lz4', '-d', '-q', '-c'], zstd: ['zstd', '-d', '-q', '-c'] };

/** The content of the target before: nothing, the whole image, only its beginning, or other data. */
const BEFORE = ['nothing', 'everything', 'a beginning', 'noise'] as const;

const SAMPLES = fc.record({
  ...IMAGES,
  before: fc.constantFrom(...BEFORE),
  most: fc.integer({ min: 1, max: 4 }),
});

type Sample = typeof SAMPLES extends fc.Arbitrary<infer T> ? T : never;

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
  await fc.assert(fc.asyncProperty(SAMPLES, check(t)), {
    numRuns: fullOr('random images', 200, 10),
    endOnFailure: true,
  });
});
