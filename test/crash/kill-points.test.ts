/** `kill -9` of a run that stores points: the same command finishes the lineage, and nothing is left behind. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { keysIn } from '../support/archives.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { BUCKET, labForTest, recordsOf, runCli, type TestLab } from '../support/lab.ts';
import { INCREMENTAL } from '../support/lineages/archived-lineage.ts';
import { type LineageSnapshot, makeLineage } from '../support/lineages/lineage.ts';
import { type KillAt, runAndKill } from '../support/processes/killed-run.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { fullOr, named, seededRandom } from '../support/sampled.ts';

const STEPS = [{ write: [0, 1, 2, 3, 2047] }, { write: [1, 12] }, { trim: [2], writeZeros: [3], write: [500] }];

/** The objects of each point. */
const ENDS = ['pack.0001.lz4', 'blocks.zst', 'map.zst', 'manifest.json'];

async function lineage(t: TestContext) {
  const lab = await labForTest(t);
  const points = await makeLineage(lab, STEPS, { tags: { 'snap-to-s3': 'migrate' } });
  const mount = ['--mount-point', join(lab.directory, 'mnt'), '--wait-limit', '30'];
  return { lab, points, argv: ['migrate', '--bucket', BUCKET, ...mount, ...INCREMENTAL] };
}

/** Moments of the second point, which has a parent and a child. */
const second = (code: string): KillAt => {
  let seen = 0;
  const line = { test: (text: string) => text.includes(`"code":"${code}"`) && ++seen === 2 };
  return { line };
};

const MOMENTS: Record<string, () => KillAt> = {
  'snapshot started': () => second('snapshot.started'),
  'point planned': () => second('point.planned'),
  'pack stored': () => second('object.stored'),
  'block list stored': () => ({ line: /"code":"index.stored".*\.blocks\./ }),
  'map stored': () => ({ line: /"code":"index.stored".*\.map\./ }),
  'manifest stored': () => second('manifest.stored'),
  'tag set': () => ({ line: /"code":"tag.set".*"migrated"/ }),
};

const SAMPLED = ['pack stored', 'manifest stored'];

const RANDOM_TIMES = 10;

async function uninterrupted(t: TestContext): Promise<{ lines: number; milliseconds: number; puts: number }> {
  const { lab, points, argv } = await lineage(t);
  const began = performance.now();
  const done = await runCli(lab.env, argv);
  const milliseconds = performance.now() - began;
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const calls = await lab.control.calls();
  await assertArchived(lab, points);
  return {
    milliseconds,
    lines: done.stdout.trim().split('\n').length,
    puts: calls.filter(({ operation }) => operation === 'PutObject').length,
  };
}

async function assertArchived(lab: TestLab, points: readonly LineageSnapshot[]): Promise<void> {
  const keys = (await keysIn(lab)).map((key) => key.replace(/^\S+ (snap-\w+\.)([0-9a-f]{8}\.)?/, '$1'));
  assert.deepEqual(keys.sort(), points.flatMap(({ snapshotId }) => ENDS.map((end) => `${snapshotId}.${end}`)).sort());
  for (const { snapshotId, image } of points) {
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
    const file = join(lab.directory, 'restored');
    const done = await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--to-file', file]);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    await assertSameBytes(file, image);
    rmSync(file);
  }
}

async function killAndFinish(t: TestContext, at: KillAt): Promise<void> {
  const { lab, points, argv } = await lineage(t);
  const { done, isKilled } = await runAndKill(lab, argv, at);
  if ('line' in at || 'write' in at) assert.ok(isKilled, `the moment never came: ${done.stdout}`);
  const again = await runCli(lab.env, argv);
  assert.ok(again.code === 0 || again.code === 10, again.stdout + again.stderr);
  await assertArchived(lab, points);
  assert.ok(recordsOf(again).every(({ outcome }) => outcome !== 'failed'));
}

test('a run that stores a lineage is killed at each of its steps', async (t) => {
  for (const [name, moment] of named(SAMPLED, MOMENTS)) await t.test(name, (inner) => killAndFinish(inner, moment()));
  if (!fullOr('kills at every line and before every write, and at random times', true, false)) return;
  const { lines, milliseconds, puts } = await uninterrupted(t);
  const random = seededRandom();
  for (let skip = 0; skip < puts; skip++)
    await t.test(`before write ${skip}`, (inner) => killAndFinish(inner, { write: 'PutObject', skip }));
  for (let line = 1; line <= lines; line++)
    await t.test(`at line ${line}`, (inner) => killAndFinish(inner, { lines: line }));
  for (let time = 0; time < RANDOM_TIMES; time++) {
    const after = Math.round(random() * milliseconds);
    await t.test(`after ${after} ms`, (inner) => killAndFinish(inner, { after }));
  }
});
