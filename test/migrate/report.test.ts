/** The report at the end of a run: a table for people, and a file for programs. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import type { RunReport } from '../../src/operations/shared/run-report.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { labForTest, runMigrate } from '../support/lab.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';

const readReport = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as RunReport;

test('a run in which one snapshot succeeds and one fails', async (t) => {
  const lab = await labForTest(t);
  const good = await addSnapshotOf(lab);
  const bad = await addSnapshotOf(lab);
  await lab.control.script({
    service: 'ec2',
    operation: 'CreateVolume',
    match: { SnapshotId: bad.snapshotId },
    action: { kind: 'error', code: 'VolumeLimitExceeded' },
  });
  const file = join(lab.directory, 'report.json');
  const done = await runMigrate(lab, ['--all', '--report', file]);
  assert.equal(done.code, 3, done.stderr);
  const table = done.stderr.slice(done.stderr.indexOf('snapshot  ')).split('\n');
  assert.match(table[0] ?? '', /^snapshot +outcome +read +stored +ratio +time +monthly$/);
  assert.match(table[1] ?? '', new RegExp(`^${good.snapshotId}  done .*:1 .*\\$\\d`));
  assert.match(table[2] ?? '', new RegExp(`^${bad.snapshotId}  failed +- +- +- `));
  assert.match(table[3] ?? '', /^ {2}could not create a volume of snap-.*VolumeLimitExceeded/);
  const { state, command, snapshots } = readReport(file);
  assert.deepEqual([state, command], ['finished', 'migrate']);
  assert.deepEqual(
    snapshots.map(({ snapshot, outcome, errorCode }) => [snapshot, outcome, errorCode]),
    [
      [good.snapshotId, 'done', null],
      [bad.snapshotId, 'failed', 'VOLUME_FAILED'],
    ],
  );
  assert.ok((snapshots[0]?.plainBytes ?? 0) > (snapshots[0]?.storedBytes ?? 0));
});

test('the report of a killed run is unfinished, and the next run replaces it', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const file = join(lab.directory, 'report.json');
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-report` };
  assertKilled(
    await runMigrate(lab, ['--all', '--json', '--report', file], {
      env,
      onLine: (line) => {
        if (line.includes('"object.stored"')) killFamily(env.SNAP_TO_S3_TEST_RUN);
      },
    }),
  );
  assert.equal(readReport(file).state, 'unfinished');
  assert.equal((await runMigrate(lab, ['--all', '--validate', '--report', file])).code, 0);
  const [row] = readReport(file).snapshots;
  assert.equal(row?.differenceCount, 0);
  assert.deepEqual(
    readdirSync(lab.directory).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('an unwritable report file is refused before any work', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  const refused = await runMigrate(lab, ['--all', '--report', '/nowhere/report.json']);
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, /cannot write \/nowhere\/report.json/);
  const full = await runMigrate(lab, ['--all', '--report', join(await fullDisk(t), 'report.json')]);
  assert.equal(full.code, 1, full.stderr);
  assert.match(full.stderr, /cannot write .*report.json: ENOSPC.* \[OUTPUT\]/);
  const calls = (await lab.control.calls()).filter(({ service }) => service === 'ec2');
  assert.deepEqual(calls, []);
});

/** Returns a directory on a full filesystem, and checks at the end of the test that nothing was added to it. */
async function fullDisk(t: TestContext): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-test-'));
  await run(['mount', '-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', directory]);
  t.after(async () => {
    const left = readdirSync(directory);
    await run(['umount', directory]);
    rmdirSync(directory);
    assert.deepEqual(left, ['full']);
  });
  writeFileSync(join(directory, 'full'), Buffer.alloc(4096));
  return directory;
}
