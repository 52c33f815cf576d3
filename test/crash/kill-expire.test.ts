/** `kill -9` of a run that expires archives: the same command finishes it, every kept point is right, and nothing is left. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { keysIn } from '../support/archives.ts';
import { BUCKET, labForTest, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { INCREMENTAL } from '../support/lineages/archived-lineage.ts';
import { type LineageSnapshot, makeLineage } from '../support/lineages/lineage.ts';
import { type KillAt, runAndKill } from '../support/processes/killed-run.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { fullOr, named, seededRandom } from '../support/sampled.ts';

const STEPS = [{ write: [0, 1, 2] }, { write: [1, 5] }, { write: [0, 1, 2, 5] }, { write: [2] }, { write: [5] }];

/** The objects of each point. */
const ENDS = ['blocks.zst', 'manifest.json', 'pack.0001.lz4', 'map.zst'];

const DAY = 86_400_000;

const EXPIRE = ['expire', '--bucket', BUCKET, '--json', '--yes', '--keep-last'];

/**
 * Two chains, of two and of three points. The first three points are due: the packs of the third are needed by the latest.
 * The fourth will be marked.
 */
async function dueLineage(t: TestContext) {
  const lab = await labForTest(t);
  const points = await makeLineage(lab, STEPS, { tags: { 'snap-to-s3': 'migrate' } });
  const ids = points.map(({ snapshotId }) => snapshotId);
  const flags = INCREMENTAL.filter((flag) => flag !== '--all');
  const some = (from: number, to: number, ...more: string[]) =>
    runMigrate(lab, ['--snapshots', ...ids.slice(from, to), ...flags, ...more]);
  for (const done of [await some(0, 2), await some(2, 3, '--base-every', '1'), await some(3, 5)])
    assert.equal(done.code, 0, done.stdout + done.stderr);
  const marked = await runCli(lab.env, [...EXPIRE, '2']);
  assert.equal(marked.code, 0, marked.stdout + marked.stderr);
  await lab.control.setClock(new Date(Date.now() + 8 * DAY));
  return { lab, points };
}

const MOMENTS: Record<string, KillAt> = {
  'the claim is not taken': { write: 'PutObject', skip: 0 },
  'an archive is claimed, and not declared expired': { write: 'PutObject', skip: 2 },
  'an archive is declared expired': { write: 'DeleteObject', skip: 0 },
  'an archive is marked': { line: /expiry\.marked/ },
  'nothing is removed': { write: 'DeleteObject', skip: 3 },
  'an archive is half removed': { write: 'DeleteObject', skip: 5 },
  'an archive is removed': { line: /expiry\.removed/ },
};

const SAMPLED = ['an archive is declared expired', 'an archive is half removed'];

const RANDOM_TIMES = 10;

async function killAndFinish(t: TestContext, at: KillAt): Promise<void> {
  const { lab, points } = await dueLineage(t);
  const { done, isKilled } = await runAndKill(lab, [...EXPIRE, '1'], at);
  if ('line' in at || 'write' in at) assert.ok(isKilled, `the moment never came: ${done.stdout}`);
  const again = await runCli(lab.env, [...EXPIRE, '1']);
  assert.equal(again.code, 0, again.stdout + again.stderr);
  await assertExpired(lab, points);
}

async function assertExpired(lab: TestLab, points: readonly LineageSnapshot[]): Promise<void> {
  const keys = (await keysIn(lab)).map((key) => key.replace(/^.*?(snap-\w+\.)([0-9a-f]{8}\.)?/, '$1'));
  const [, , third = '', ...kept] = points.map(({ snapshotId }) => snapshotId);
  const expected = [
    ...ENDS.slice(0, 3).map((end) => `${third}.${end}`),
    ...kept.flatMap((id) => ENDS.map((end) => `${id}.${end}`)),
  ];
  assert.deepEqual(keys.sort(), expected.sort());
  const list = await runCli(lab.env, ['list', '--bucket', BUCKET]);
  for (const [id, state] of [
    [third, 'expired'],
    [kept[0], 'expiring'],
  ])
    assert.match(list.stdout, RegExp(`${id} .*${state}`));
  for (const { snapshotId, image } of points.slice(3)) {
    const file = join(lab.directory, 'restored');
    const done = await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--to-file', file]);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    await assertSameBytes(file, image);
    rmSync(file);
  }
}

test('a run that expires archives is killed at each of its steps', async (t) => {
  for (const [name, at] of named(SAMPLED, MOMENTS)) await t.test(name, (inner) => killAndFinish(inner, at));
  if (!fullOr('kills before every write, and at random times', true, false)) return;
  const { lab, points } = await dueLineage(t);
  await lab.control.clearCalls();
  const began = performance.now();
  const done = await runCli(lab.env, [...EXPIRE, '1']);
  const milliseconds = performance.now() - began;
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const calls = await lab.control.calls();
  await assertExpired(lab, points);
  for (const write of ['PutObject', 'DeleteObject'] as const) {
    const count = calls.filter(({ operation }) => operation === write).length;
    for (let skip = 0; skip < count; skip++)
      await t.test(`before ${write} ${skip + 1} of ${count}`, (inner) => killAndFinish(inner, { write, skip }));
  }
  const random = seededRandom();
  for (let time = 0; time < RANDOM_TIMES; time++) {
    const after = Math.round(random() * milliseconds);
    await t.test(`after ${after} ms`, (inner) => killAndFinish(inner, { after }));
  }
});
