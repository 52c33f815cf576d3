/** Any image, with any codec, becomes the same snapshot, wherever the runs that write it are killed. */
import { test } from 'node:test';
import fc from 'fast-check';
import { fillSnapshot } from '../../../../../src/operations/restore/snapshot/fill-snapshot.ts';
import { fullOr } from '../../../../support/sampled.ts';
import { IMAGES, imageOf, planOf, WAYS } from '../../../streams/planned-images.ts';
import { NewSnapshot } from '../memory-cloud.ts';

const SAMPLES = fc.record({
  ...IMAGES,
  isEncrypted: fc.boolean(),
  /** After how many blocks each run is killed. */
  kills: fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 3 }),
});

type Sample = typeof SAMPLES extends fc.Arbitrary<infer T> ? T : never;

/** @param isPlanned whether the index is used. Without it, no run resumes. */
async function check({ kills, isEncrypted, ...sample }: Sample, isPlanned = true): Promise<void> {
  const image = imageOf(sample);
  const { plan, object, body } = await planOf(image, sample.way);
  const snapshot = new NewSnapshot(isEncrypted);
  const objects = new Map([[object.key, body]]);
  // The last run resumes after the last block.
  for (const puts of [...kills, null, null]) {
    const started = { id: 'snap-new', isEncrypted, block: isPlanned ? snapshot.checkpoint : 0 };
    const filling = { snapshotId: 'snap-1', object, plan: isPlanned ? plan : null, table: plan.table, started };
    const filled = await snapshot.run(puts, objects, (services, context, checkpoint) =>
      fillSnapshot({ ...filling, checkpoint }, services, context),
    );
    if (filled) snapshot.assertIs(image, filled.tally);
  }
}

test('any image, encrypted or not, killed after any blocks', async () => {
  const numRuns = fullOr('random images', 200, 3);
  await fc.assert(
    fc.asyncProperty(SAMPLES, (sample) => check(sample)),
    { numRuns, endOnFailure: true },
  );
});

const ZEROS = { isZero: true, pieces: 9 };
const DATA = { isZero: false, pieces: 1 };

for (const way of Object.keys(WAYS) as (keyof typeof WAYS)[]) {
  test(`${way}: zeros between data, a last block that is not full, and a kill in each part`, async () => {
    const sample = { way, runs: [DATA, ZEROS, DATA], cut: 1000, isEncrypted: false };
    await check({ ...sample, kills: [1, 3] });
    await check({ ...sample, kills: [] }, false);
  });
}

test('an encrypted image of zeros', () =>
  check({ way: 'zstd frames', runs: [ZEROS], cut: 0, kills: [5], isEncrypted: true }));
