/** Several snapshots at once: each whole, a bad one alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keysIn } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { labForTest, recordsOf, runMigrate, runValidate, type TestLab } from '../support/lab.ts';

const SMALL = { table: 'gpt' as const, partitions: [{ content: 'ext4' as const, sizeMiB: 16, populate: fillPlainly }] };

async function snapshots(lab: TestLab, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at++) ids.push((await addSnapshotOf(lab, SMALL)).snapshotId);
  return ids;
}

/** The most snapshots that were under way at any time. */
function mostAtOnce(records: readonly Record<string, unknown>[]): number {
  let [now, most] = [0, 0];
  for (const { code } of records) {
    if (code === 'snapshot.started') now++;
    if (code === 'snapshot.finished') now--;
    most = Math.max(most, now);
  }
  return most;
}

for (const source of ['volume', 'direct']) {
  test(`--concurrency 3, from ${source}: five snapshots, three at a time, are archived and proved`, async (t) => {
    const lab = await labForTest(t);
    const ids = await snapshots(lab, 5);
    const flags = ['--all', '--concurrency', '3', '--source', source, '--json'];
    const done = await runMigrate(lab, flags);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.equal(mostAtOnce(recordsOf(done)), 3);
    assert.equal((await keysIn(lab)).length, 10);
    const proved = await runValidate(lab, flags);
    assert.equal(proved.code, 0, proved.stdout + proved.stderr);
    for (const id of ids) assert.equal((await tagsOf(lab, id))['snap-to-s3'], 'validated');
  });
}

test('one that fails leaves the others alone', async (t) => {
  const lab = await labForTest(t);
  const ids = await snapshots(lab, 4);
  const action = { kind: 'behaviour', name: 'volume-error' } as const;
  await lab.control.script({ service: 'ec2', operation: 'CreateVolume', match: { SnapshotId: ids[1] ?? '' }, action });
  const done = await runMigrate(lab, ['--all', '--concurrency', '4', '--json']);
  assert.equal(done.code, 3, done.stdout + done.stderr);
  const finished = recordsOf(done).at(-1) ?? {};
  assert.deepEqual(finished['failed'], [ids[1]]);
  assert.equal((finished['done'] as string[]).length, 3);
});
