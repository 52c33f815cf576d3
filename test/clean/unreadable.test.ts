/** A claim or manifest that cannot be read does not hide the leftovers of other snapshots. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PutObjectCommand, type StorageClass } from '@aws-sdk/client-s3';
import { manifestKey, objectKey } from '../../src/archive/key.ts';
import { putClaim } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';

const [DENIED, NEWER, ARCHIVED, PLAIN] = ['a', 'b', 'c', 'd'].map((digit) => `snap-0000000000000000${digit}`) as [
  string,
  string,
  string,
  string,
];

const nameOf = (snapshotId: string) => ({ prefix: '', volumeId: 'vol-1', startTime: new Date(0), snapshotId });

const keyOf = (snapshotId: string): string =>
  objectKey({ ...nameOf(snapshotId), partition: null, layout: 'image', codec: 'lz4', cipher: 'none' });

const put = (lab: TestLab, Key: string, Body: string | Buffer, StorageClass: StorageClass = 'STANDARD') =>
  lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body, StorageClass }));

/** The claim of a run that was killed while it uploaded an object, and the object. */
async function addAbandoned(lab: TestLab, snapshot: string, storageClass: StorageClass): Promise<void> {
  const key = keyOf(snapshot);
  const progress = { fingerprint: 'x', objects: [], uploads: [{ key, uploadId: 'gone', checkpoints: [] }] };
  await putClaim(lab, { snapshot, progress }, { StorageClass: storageClass });
  await put(lab, key, 'data');
}

test('what cannot be read is reported, and the leftovers of all other snapshots are found', async (t) => {
  const lab = await labForTest(t);
  for (const snapshot of [DENIED, NEWER, PLAIN]) await addAbandoned(lab, snapshot, 'STANDARD');
  await addAbandoned(lab, ARCHIVED, 'GLACIER');
  await put(lab, manifestKey(nameOf(NEWER)), JSON.stringify({ format: 99 }));
  const error = { kind: 'error' as const, status: 403, code: 'AccessDenied' };
  const argv = ['clean', '--bucket', BUCKET, '--older-than', '0', '--json'];
  for (const more of [[], ['--yes']]) {
    await lab.control.script({ service: 's3', operation: 'HeadObject', action: error });
    const done = await runCli(lab.env, [...argv, ...more]);
    assert.equal(done.code, 1, done.stdout + done.stderr);
    const records = recordsOf(done);
    const failed = records.filter(({ code }) => code === 'cleanup.failed').map(({ snapshot }) => snapshot);
    assert.deepEqual(failed, [ARCHIVED, DENIED]);
    const found = records.filter(({ code }) => code === 'clean.found');
    const shown = found.map(({ snapshot, kind, obstacle }) => [snapshot, kind, obstacle !== null]);
    const expected = [
      [NEWER, 'object', true],
      [NEWER, 'claim', false],
      [PLAIN, 'object', false],
      [PLAIN, 'claim', false],
    ];
    assert.deepEqual(shown, expected);
    assert.match(String(found[0]?.['obstacle']), /its archive may be complete: .*format/);
    const removed = records.filter(({ code }) => code === 'clean.removed');
    const removals = removed.map(({ snapshot, kind }) => [snapshot, kind]);
    assert.deepEqual(removals, more.length === 0 ? [] : expected.slice(2).map(([snapshot, kind]) => [snapshot, kind]));
  }
});

test('the claim of another snapshot that cannot be read does not prevent a migration', async (t) => {
  const lab = await labForTest(t);
  await addAbandoned(lab, ARCHIVED, 'GLACIER');
  const { snapshotId } = await addSnapshotOf(lab);
  const done = await runMigrate(lab, ['--snapshots', snapshotId, '--dd', '--source', 'direct', '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const failed = recordsOf(done).filter(({ code }) => code === 'cleanup.failed');
  assert.deepEqual(
    failed.map(({ snapshot }) => snapshot),
    [ARCHIVED],
  );
});
