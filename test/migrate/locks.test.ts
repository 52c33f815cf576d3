/** Archives with Object Lock: what is locked until when, and what is refused before anything is created. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { wholeSecond } from '../../src/lib/instant.ts';
import { enableObjectLock, keysIn, locksIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, runValidate, type TestLab } from '../support/lab.ts';
import { killFamily } from '../support/processes/kill-family.ts';

const DAY = 86_400_000;
const DIRECT = ['--all', '--dd', '--source', 'direct', '--json'];
const LOCK = ['--lock-mode', 'governance', '--lock-days', '10'];

const isClaim = ({ key }: { key: string }) => key.includes('/claims/');

test('only one of the flags, and a bucket without Object Lock, are refused before anything is created', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  for (const flags of [LOCK.slice(0, 2), LOCK.slice(2), ['--lock-mode', 'governance', '--lock-days', '0']])
    assert.equal((await runMigrate(lab, [...DIRECT, ...flags])).code, 2, flags.join(' '));
  for (const more of [[], ['--dry-run'], ['--incremental']]) {
    const done = await runMigrate(lab, [...DIRECT, ...LOCK, ...more]);
    assert.equal(done.code, 1, done.stdout + done.stderr);
    assert.match(done.stdout + done.stderr, /bucket backups has no Object Lock/);
  }
  assert.deepEqual(await keysIn(lab), []);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
});

test('objects, indexes and the manifest of an archive are locked; claims and later manifests are not', async (t) => {
  const lab = await labForTest(t);
  await enableObjectLock(lab);
  const { snapshotId } = await addSnapshotOf(lab);
  const began = wholeSecond(new Date()).getTime();
  const done = await runMigrate(lab, ['--all', ...LOCK]);
  assert.equal(done.code, 0, done.stderr);
  const { lock } = await readManifest(lab);
  assert.equal(lock?.mode, 'GOVERNANCE');
  const days = (Date.parse(lock.until) - began) / DAY;
  assert.ok(days >= 17 && days < 17.01, `${days} days`);
  const stored = (await locksIn(lab)).filter((version) => !isClaim(version));
  assert.ok(stored.length >= 3);
  for (const { key, mode, until } of stored)
    assert.deepEqual([mode, until?.toISOString()], ['GOVERNANCE', lock.until], key);
  assert.equal((await runValidate(lab, ['--all'])).code, 0);
  const versions = await locksIn(lab);
  const manifests = versions.filter(({ key }) => key.endsWith('.manifest.json'));
  assert.deepEqual(
    manifests.map(({ isLatest, mode }) => [isLatest, mode]),
    [
      [true, null],
      [false, 'GOVERNANCE'],
    ],
  );
  for (const { key, mode } of versions.filter(isClaim)) assert.equal(mode, null, key);
  const again = await runMigrate(lab, ['--snapshots', snapshotId, ...LOCK]);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout + again.stderr, /stored with the lock GOVERNANCE until 20/);
  const shown = await runCli(lab.env, ['list', snapshotId, '--bucket', BUCKET]);
  assert.match(shown.stdout, new RegExp(`^  locked +GOVERNANCE until ${lock.until}, when it was stored$`, 'm'));
});

for (const [what, operation] of [
  ['data objects', 'CreateMultipartUpload'],
  ['indexes', 'PutObject'],
] as const) {
  test(`an archive is not completed if the store ignores the lock of ${what}`, async (t) => {
    const lab = await labForTest(t);
    await enableObjectLock(lab);
    await addSnapshotOf(lab);
    const action = { kind: 'behaviour', name: 'lock-ignored' } as const;
    await lab.control.script({ service: 's3', operation, times: 99, action });
    const refused = await runMigrate(lab, [...DIRECT, ...LOCK]);
    await lab.control.clearFaults();
    assert.equal(refused.code, 1, refused.stdout);
    assert.match(refused.stdout, /NOT_LOCKED.*the store does not report that it is locked/);
    assert.ok(!(await keysIn(lab)).some((key) => key.endsWith('.manifest.json')));
    // The object and its index are complete, and only a lock is missing: both are stored again.
    const done = await runMigrate(lab, [...DIRECT, ...LOCK]);
    assert.equal(done.code, 0, done.stdout);
    assert.ok(!recordsOf(done).some(({ code }) => code === 'object.kept'));
  });
}

/** Kills a run in the middle of its upload. */
async function killInUpload(lab: TestLab): Promise<void> {
  const image = join(lab.directory, 'noise.img');
  writeFileSync(image, randomBytes(24 * 2 ** 20));
  const { snapshotId } = await addSnapshotOfImage(lab, image);
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-locks` };
  await lab.control.script({
    service: 's3',
    operation: 'UploadPart',
    match: { partNumber: '3' },
    times: 99,
    action: { kind: 'hang' },
  });
  let isKilled = false;
  await runMigrate(lab, [...DIRECT, ...LOCK, '--upload-streams', '1'], {
    env,
    onLine: (line) => {
      if (isKilled || !line.includes('"object.progress"')) return;
      const { storedBytes = 0 } = JSON.parse(line) as { storedBytes?: number };
      isKilled = storedBytes >= 16 * 2 ** 20;
      if (isKilled) killFamily(env.SNAP_TO_S3_TEST_RUN);
    },
  });
  await lab.control.clearFaults();
}

test('an upload is resumed with the lock that it was begun with', async (t) => {
  const lab = await labForTest(t);
  await enableObjectLock(lab);
  const began = wholeSecond(new Date()).getTime();
  await killInUpload(lab);
  await lab.control.setClock(new Date(began + 2 * DAY));
  const resumed = await runMigrate(lab, [...DIRECT, ...LOCK]);
  assert.equal(resumed.code, 0, resumed.stdout);
  assert.ok(recordsOf(resumed).some(({ code }) => code === 'upload.resumed'));
  const { lock } = await readManifest(lab);
  const days = (Date.parse(lock?.until ?? '') - began) / DAY;
  assert.ok(days >= 17 && days < 17.01, `${days} days`);
});

test('an upload whose lock would end too early is started again', async (t) => {
  const lab = await labForTest(t);
  await enableObjectLock(lab);
  const began = wholeSecond(new Date()).getTime();
  await killInUpload(lab);
  await lab.control.setClock(new Date(began + 8 * DAY));
  const done = await runMigrate(lab, [...DIRECT, ...LOCK]);
  assert.equal(done.code, 0, done.stdout);
  const restarted = recordsOf(done).find(({ code }) => code === 'upload.restarted');
  assert.equal(restarted?.['reason'], 'its lock would end too early');
  const { lock } = await readManifest(lab);
  assert.ok(Date.parse(lock?.until ?? '') >= began + 25 * DAY);
});
