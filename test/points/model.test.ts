/**
 * Random sequences of snapshots, runs of migrate, expire and restore, kills and damage, compared with a model. After each
 * step, every kept point is right; in the end, nothing else is left. In full, there are more than 2,000 steps.
 */
import { test } from 'node:test';
import { labForTest } from '../support/lab.ts';
import { fullOr, seededRandom } from '../support/sampled.ts';
import { assertNothingElse } from './model/model.ts';
import { chooseStep, finish, STEPS } from './model/steps.ts';
import { checkWorld, makeWorld } from './model/world.ts';

/** A seed that is given is run once. */
const LABS = process.env['SNAP_TO_S3_SEED'] === undefined ? fullOr('labs of the model', 42, 1) : 1;

const STEPS_OF_LAB = fullOr('steps in each lab of the model', 50, 20);

for (let lab = 1; lab <= LABS; lab++) {
  test(`${STEPS_OF_LAB} random steps over two volumes (${lab} of ${LABS})`, async (t) => {
    const random = seededRandom();
    const world = await makeWorld(await labForTest(t), random);
    const taken: string[] = [];
    try {
      while (taken.length < STEPS_OF_LAB) {
        const name = chooseStep(world);
        taken.push(name);
        await checkWorld(world, (await STEPS[name]?.step(world)) ?? null);
      }
      taken.push('finish');
      const bucket = await checkWorld(world, await finish(world));
      assertNothingElse(bucket, world.manifests);
    } catch (error) {
      throw new Error(`after ${taken.join(', ')}: ${(error as Error).message}`, { cause: error });
    }
  });
}
