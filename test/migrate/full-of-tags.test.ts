/** Snapshots with the maximum number of tags have no state tag, and the manifest replaces it. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readManifest } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf, writesIn } from '../support/ec2-state.ts';
import {
  BUCKET,
  type Finished,
  labForTest,
  recordsOf,
  runCli,
  runMigrate,
  runValidate,
  type TestLab,
} from '../support/lab.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';
import { until } from '../support/until.ts';

/** Returns `count` tags. EC2 allows 50 on a snapshot. */
const tags = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`key-${at}`, `value ${at}`]));

const run = (lab: TestLab, command: string, argv: readonly string[]) =>
  runCli(lab.env, [command, '--bucket', BUCKET, '--mount-point', join(lab.directory, 'mnt'), '--json', ...argv]);

const withCode = (done: Finished, wanted: string) => recordsOf(done).filter(({ code }) => code === wanted);

const uploadsIn = async (lab: TestLab): Promise<number> =>
  (await writesIn(lab)).filter((name) => name === 'CompleteMultipartUpload').length;

test('without room for the state tag, all commands use the manifest instead', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, undefined, { tags: tags(50) });
  const named = ['--snapshots', snapshotId, '--json'];

  const planned = await runMigrate(lab, [...named, '--dry-run']);
  assert.equal(withCode(planned, 'tag.no-room').length, 1, planned.stdout);
  const first = await runMigrate(lab, named);
  assert.equal(first.code, 0, first.stdout + first.stderr);
  assert.deepEqual(
    withCode(first, 'tag.no-room').map(({ snapshot, key }) => ({ snapshot, key })),
    [{ snapshot: snapshotId, key: 'snap-to-s3' }],
  );
  assert.deepEqual(await tagsOf(lab, snapshotId), tags(50));
  assert.deepEqual((await readManifest(lab)).snapshot.tags, tags(50));

  const uploads = await uploadsIn(lab);
  const nightly = await runMigrate(lab, named);
  assert.equal(nightly.code, 0, nightly.stderr);
  assert.match(nightly.stdout, /"code":"snapshot.skipped".*already archived/);
  const proof = await runValidate(lab, named);
  assert.equal(proof.code, 0, proof.stdout + proof.stderr);
  assert.equal(withCode(proof, 'tag.no-room').length, 1);
  assert.notEqual((await readManifest(lab)).validatedAt, null);
  const again = await runMigrate(lab, [...named, '--validate']);
  assert.match(again.stdout, /"code":"snapshot.skipped".*already archived/, 'validated already, by the manifest');
  assert.equal(await uploadsIn(lab), uploads, 'nothing is uploaded again');

  const listed = await runCli(lab.env, ['list', '--bucket', BUCKET, '--json', '--tag', 'key-49=value 49']);
  assert.match(listed.stdout, /"state":"complete"/);
  const cleaned = await run(lab, 'clean', ['--older-than', '0', '--yes']);
  assert.deepEqual(withCode(cleaned, 'clean.found'), []);
  mkdirSync(join(lab.directory, 'scratch'));
  const drilled = await run(lab, 'drill', ['--with-snapshot', '--scratch', join(lab.directory, 'scratch')]);
  assert.equal(drilled.code, 0, drilled.stdout + drilled.stderr);
  assert.deepEqual(await tagsOf(lab, snapshotId), tags(50));
});

test('a state tag among the 50 is changed as usual, and selects the snapshot only once', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, undefined, { tags: { ...tags(49), 'snap-to-s3': 'migrate' } });
  const first = await runMigrate(lab, ['--all', '--json']);
  assert.equal(first.code, 0, first.stdout + first.stderr);
  assert.deepEqual(withCode(first, 'tag.no-room'), []);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
  assert.equal((await runMigrate(lab, ['--all'])).code, 10);
});

test('killed after the archive was complete: the next run of any snapshot releases the leftovers', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, undefined, { tags: tags(50) });
  await lab.control.script({ service: 'ec2', operation: 'DetachVolume', action: { kind: 'hang' } });
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-killed` };
  const killed = runMigrate(lab, ['--snapshots', snapshotId], { env });
  await until(async () => (await lab.control.unusedFaults()).length === 0);
  killFamily(env.SNAP_TO_S3_TEST_RUN);
  assertKilled(await killed);
  const left = (await lab.control.leftovers()).map(({ kind }) => kind);
  assert.ok(left.includes('volume'), `left: ${left.join(', ')}`);
  await addSnapshotOf(lab);
  const next = await runMigrate(lab, ['--all']);
  assert.equal(next.code, 0, next.stderr);
  assert.deepEqual(await lab.control.leftovers(), []);
});
