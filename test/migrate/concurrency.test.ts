/** Concurrent migrations: each archive is complete, and a failure affects only its snapshot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keysIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { type Finished, labForTest, recordsOf, runMigrate, runValidate, type TestLab } from '../support/lab.ts';
import { oneIn } from '../support/sampled.ts';

const SMALL = { table: 'gpt' as const, partitions: [{ content: 'ext4' as const, sizeMiB: 16, populate: fillPlainly }] };

async function snapshots(lab: TestLab, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at++) ids.push((await addSnapshotOf(lab, SMALL)).snapshotId);
  return ids;
}

/** Returns the maximum number of snapshots that were in progress at the same time. */
function maxConcurrent(records: readonly Record<string, unknown>[]): number {
  let [now, most] = [0, 0];
  for (const { code } of records) {
    if (code === 'snapshot.started') now++;
    if (code === 'snapshot.finished') now--;
    most = Math.max(most, now);
  }
  return most;
}

for (const source of oneIn(2, ['volume', 'direct'])) {
  test(`--concurrency 3, from ${source}: five snapshots, three at a time, are archived and validated`, async (t) => {
    const lab = await labForTest(t);
    const ids = await snapshots(lab, 5);
    const flags = ['--all', '--concurrency', '3', '--source', source, '--json'];
    const done = await runMigrate(lab, flags);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.equal(maxConcurrent(recordsOf(done)), 3);
    assert.equal((await keysIn(lab)).length, 15);
    const proved = await runValidate(lab, flags);
    assert.equal(proved.code, 0, proved.stdout + proved.stderr);
    for (const id of ids) assert.equal((await tagsOf(lab, id))['snap-to-s3'], 'validated');
  });
}

test('a failed snapshot does not affect the others', async (t) => {
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

const FOUR = {
  table: 'gpt' as const,
  partitions: [1, 2, 3, 4].map(() => ({ content: 'ext4' as const, sizeMiB: 24, populate: fillPlainly })),
};

/** Returns the maximum number of objects that were in progress at the same time. */
function maxConcurrentObjects(records: readonly Record<string, unknown>[]): number {
  let [now, most] = [0, 0];
  for (const { code } of records) {
    if (code === 'object.started') now++;
    if (code === 'object.stored' || code === 'object.aborted') now--;
    most = Math.max(most, now);
  }
  return most;
}

/** The second one is the earlier name. */
for (const flag of ['--partition-concurrency', '--partitions-at-once'])
  test(`${flag} 3: all partitions of a disk are archived in order and validated`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab, FOUR);
    const action = { kind: 'latency', milliseconds: 250_000 } as const;
    await lab.control.script({ service: 's3', operation: 'CompleteMultipartUpload', every: 1, action });
    let begun = 0;
    const done = await runMigrate(lab, ['--all', '--validate', flag, '3', '--json'], {
      onLine: (line) => {
        if (line.includes('"object.started"') && ++begun === 3) void lab.control.clearFaults();
      },
    });
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.equal(maxConcurrentObjects(recordsOf(done)), 3);
    const { objects } = await readManifest(lab);
    assert.deepEqual(
      objects.map(({ partition }) => partition),
      [1, 2, 3, 4],
    );
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  });

test('a partition that cannot be stored stops the others; complete objects are kept for the next run', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, FOUR);
  const action = { kind: 'error', code: 'AccessDenied', status: 403 } as const;
  const completions = { service: 's3', operation: 'CompleteMultipartUpload', skip: 1, times: 100 } as const;
  // During this delay, the first object usually gets its index, without which it is not complete.
  await lab.control.script({ ...completions, action: { kind: 'latency', milliseconds: 3000 } });
  await lab.control.script({ ...completions, action });
  const flags = ['--all', '--partition-concurrency', '3', '--json'];
  const first = await runMigrate(lab, flags);
  await lab.control.clearFaults();
  assert.equal(first.code, 1, first.stdout + first.stderr);
  assert.match(first.stdout, /ACCESS_DENIED/);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
  const second = await runMigrate(lab, [...flags, '--validate']);
  assert.equal(second.code, 0, second.stdout + second.stderr);
  const count = (run: Finished, wanted: string) => recordsOf(run).filter(({ code }) => code === wanted).length;
  assert.equal(count(second, 'object.kept'), count(first, 'index.stored'));
  assert.ok(count(first, 'index.stored') <= 1);
  assert.equal((await readManifest(lab)).objects.length, 4);
});
