/** Several runs on one bucket process each snapshot once, and finish the work of killed runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keysIn, putClaim } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { type Finished, labForTest, recordsOf, runMigrate, runValidate, type TestLab } from '../support/lab.ts';
import { assertKilled } from '../support/processes/kill-family.ts';

const doneBy = (finished: Finished): string[] =>
  recordsOf(finished).flatMap(({ code, outcome, snapshot }) =>
    code === 'snapshot.finished' && outcome === 'done' ? [snapshot as string] : [],
  );

async function several(lab: TestLab, count: number): Promise<string[]> {
  const first = await addSnapshotOf(lab);
  const ids = [first.snapshotId];
  while (ids.length < count) ids.push((await addSnapshotOfImage(lab, first.image)).snapshotId);
  return ids.sort();
}

test('three runs share twelve snapshots', async (t) => {
  const lab = await labForTest(t);
  const ids = await several(lab, 12);
  const runs = await Promise.all([1, 2, 3].map(() => runMigrate(lab, ['--all', '--json'])));
  for (const run of runs) assert.ok([0, 10, 11].includes(run.code ?? -1), run.stdout + run.stderr);
  assert.deepEqual(runs.flatMap(doneBy).sort(), ids);
  for (const id of ids) assert.equal((await tagsOf(lab, id))['snap-to-s3'], 'migrated');
  assert.deepEqual(
    (await keysIn(lab)).filter((key) => key.includes('claims')),
    [],
  );
});

test('if one of three runs is killed, the others finish its work', async (t) => {
  const lab = await labForTest(t);
  const ids = await several(lab, 12);
  let started = 0;
  const others: Promise<Finished>[] = [];
  const doomed = await runMigrate(lab, ['--all', '--json'], {
    onLine: (line, signal) => {
      if (!line.includes('"object.started"')) return;
      started++;
      if (started === 1) others.push(...[1, 2].map(() => runMigrate(lab, ['--all', '--json'])));
      if (started === 2) signal('SIGKILL');
    },
  });
  const runs = [doomed, ...(await Promise.all(others))];
  const last = await runMigrate(lab, ['--all', '--json']);
  assert.ok(started >= 2);
  assertKilled(doomed);
  assert.ok(last.code === 0 || last.code === 10, last.stdout + last.stderr);
  assert.deepEqual([...runs, last].flatMap(doneBy).sort(), ids);
  for (const id of ids) assert.equal((await tagsOf(lab, id))['snap-to-s3'], 'migrated');
});

test('--snapshots respects a live claim and names its holder; an expired claim is taken over', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId, volumeId } = await addSnapshotOf(lab);
  const holder = { run: 'x', host: 'elsewhere', pid: 7, boot: 'b', namespace: 'n', started: '1' };
  const put = (lifeSeconds: number) => putClaim(lab, { snapshot: snapshotId, volume: volumeId, holder, lifeSeconds });
  await put(3600);
  for (const run of [runMigrate, runValidate]) {
    const refused = await run(lab, ['--snapshots', snapshotId]);
    assert.equal(refused.code, 11, refused.stderr);
    assert.match(refused.stderr, /is claimed by process 7 on elsewhere/);
  }
  await put(0.001);
  const done = await runMigrate(lab, ['--all', '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
});

test('a snapshot tagged migrating without a claim is left alone and reported', async (t) => {
  const lab = await labForTest(t);
  const { image } = await addSnapshotOf(lab);
  const stuck = await addSnapshotOfImage(lab, image, { tags: { 'snap-to-s3': 'migrating' } });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, new RegExp(`${stuck.snapshotId}: skipped: it is tagged migrating`));
  assert.equal((await tagsOf(lab, stuck.snapshotId))['snap-to-s3'], 'migrating');
});
