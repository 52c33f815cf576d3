/** `list` shows the archives in the bucket and their states without reading data objects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeleteSnapshotCommand } from '@aws-sdk/client-ec2';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { ListedArchive } from '../../src/events.ts';
import { keyEnding, keysIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';

async function listed(lab: TestLab, argv: readonly string[] = [], code = 0) {
  const done = await runCli(lab.env, ['list', '--bucket', BUCKET, '--json', ...argv]);
  assert.equal(done.code, code, done.stdout + done.stderr);
  const records = recordsOf(done);
  const archives = records.filter((record) => record.code === 'archive.listed').map(({ archive }) => archive);
  return { archives: archives as ListedArchive[], finished: records.at(-1) ?? {} };
}

const SMALL = { content: 'ext4', sizeMiB: 16 } as const;

test('the account is looked up only once, however many snapshots were deleted', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--dd', '--source', 'direct'])).code, 0);
  const manifest = await keyEnding(lab, '.manifest.json');
  const text = JSON.stringify(await readManifest(lab));
  const gone = Array.from({ length: 9 }, (_, index) => `snap-0000000000000000${index}`);
  for (const id of gone) {
    const renamed = (from: string) => from.replaceAll(snapshotId, id);
    await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: renamed(manifest), Body: renamed(text) }));
  }
  const { archives } = await listed(lab);
  assert.deepEqual(archives.map(({ snapshotExists }) => snapshotExists).sort(), [...gone.map(() => false), true]);
  const calls = (await lab.control.calls()).map(({ operation }) => operation);
  assert.equal(calls.filter((operation) => operation === 'GetCallerIdentity').length, 1);
});

test('archives: complete, in an archive class, of deleted snapshots, without data', async (t) => {
  const lab = await labForTest(t, { pageSize: 2 });
  const partitions = [SMALL, SMALL];
  const [kept, gone] = [await addSnapshotOf(lab, { table: 'gpt', partitions }), await addSnapshotOf(lab)];
  const flags = ['--storage-class', 'DEEP_ARCHIVE'];
  assert.equal((await runMigrate(lab, ['--snapshots', kept.snapshotId, ...flags])).code, 0);
  assert.equal((await runMigrate(lab, ['--snapshots', gone.snapshotId, '--dd', '--source', 'direct'])).code, 0);
  await lab.ec2.send(new DeleteSnapshotCommand({ SnapshotId: gone.snapshotId }));
  const before = (await lab.control.calls()).length;
  const { archives, finished } = await listed(lab);
  const calls = (await lab.control.calls()).slice(before);
  assert.equal(calls.filter(({ operation }) => operation === 'GetObject').length, 2, 'only manifests are read');
  const [tar, image] = [kept, gone].map(({ snapshotId }) => archives.find(({ snapshot }) => snapshot === snapshotId));
  assert.equal(archives.length, 2);
  assert.deepEqual([tar?.state, tar?.layout, tar?.snapshotExists], ['complete', 'tar', true]);
  assert.deepEqual([image?.state, image?.layout, image?.snapshotExists], ['complete', 'image', false]);
  assert.equal(tar?.objects[0]?.storageClass, 'DEEP_ARCHIVE');
  assert.ok((tar?.dollarsMonth ?? 0) > 0 && (tar?.storedBytes ?? 0) > (tar?.objects[0]?.bytes ?? 0));
  assert.equal(finished['archives'], 2);
  assert.equal((await listed(lab, ['--volumes', kept.volumeId])).archives.length, 1);
  assert.equal((await listed(lab, ['--snapshots', gone.snapshotId])).archives.length, 1);
  assert.equal((await listed(lab, ['--since', '2030-01-01'], 10)).archives.length, 0);
  assert.equal((await listed(lab, ['--until', '2030-01-01'])).archives.length, 2);
  assert.equal((await listed(lab, ['--prefix', 'elsewhere'], 10)).archives.length, 0);
  // Manifests contain the region of their snapshots, so the result does not depend on --region.
  const far = await listed(lab, ['--region', 'eu-west-1']);
  const existsFar = (id: string) => far.archives.find(({ snapshot }) => snapshot === id)?.snapshotExists;
  assert.deepEqual([existsFar(kept.snapshotId), existsFar(gone.snapshotId)], [true, false]);
  const stateOf = async (id: string, code = 0) => (await listed(lab, ['--snapshots', id], code)).archives[0]?.state;
  const cut = await keyEnding(lab, '.1.tar.lz4');
  const { bytes = 0 } = tar?.objects[0] ?? {};
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: cut, Body: Buffer.alloc(bytes) }));
  assert.equal(await stateOf(kept.snapshotId), 'replaced', 'as long, with another ETag');
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: cut, Body: 'shorter than it was' }));
  assert.equal(await stateOf(kept.snapshotId), 'incomplete');
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: cut }));
  assert.equal(await stateOf(kept.snapshotId), 'incomplete');
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: await keyEnding(lab, '.img.lz4') }));
  assert.equal(await stateOf(gone.snapshotId), 'without-data');
  const [manifest = ''] = (await keysIn(lab)).filter((key) => key.endsWith(`${gone.snapshotId}.manifest.json`));
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: manifest, Body: '{}' }));
  assert.equal(await stateOf(gone.snapshotId, 3), 'unreadable-manifest');
});

test('archives of version 0, unfinished archives, and other objects', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  for (const Key of [
    'vol-0123456789abcdef0/2017-06-30T22:00:00-04:00 snap-0123456789abcdef0 - a disk.p2.tar.zstd',
    'vol-0123456789abcdef1/2017-06-30T22:00:00+00:00 snap-0123456789abcdef1.img.lz4.gpg',
    '.snap-to-s3/claims/snap-0123456789abcdef1.json',
    'holiday.jpg',
    'vol-1/notes',
  ]) {
    await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'anything' }));
  }
  const { archives } = await listed(lab);
  assert.deepEqual(
    archives.map(({ snapshot, state, startTime, cipher }) => [snapshot, state, startTime.slice(0, 10), cipher]).sort(),
    [
      ['snap-0123456789abcdef0', 'without-manifest', '2017-07-01', 'none'],
      ['snap-0123456789abcdef1', 'unfinished', '2017-06-30', 'gpg'],
      [snapshotId, 'complete', new Date().toISOString().slice(0, 10), 'none'],
    ].sort(),
  );
  assert.deepEqual(
    archives.map(({ snapshot, snapshotExists }) => [snapshot === snapshotId, snapshotExists]).sort(),
    [
      [false, null],
      [false, null],
      [true, true],
    ],
    'without a manifest nobody knows in which region to ask',
  );
  const key = await keyEnding(lab, '.manifest.json');
  const manifest = await readManifest(lab);
  const foreign = { ownerId: '999999999999', region: 'eu-west-1' };
  for (const origin of [foreign, { region: 'evil.example.com/' }, { region: 'eu-west-1' }]) {
    const content = { ...manifest, snapshot: { ...manifest.snapshot, ...origin } };
    await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: JSON.stringify(content) }));
    const [own] = (await listed(lab, ['--snapshots', snapshotId])).archives;
    const expected = 'ownerId' in origin ? null : origin.region === 'eu-west-1' ? false : null;
    assert.equal(own?.snapshotExists, expected, JSON.stringify(origin));
  }
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `attic/${key}`, Body: 'of another prefix' }));
  const shown = await runCli(lab.env, ['list', snapshotId, '--bucket', BUCKET]);
  assert.equal(shown.code, 0, shown.stderr);
});

test('the text output, also without permission for EC2', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const action = { kind: 'error', code: 'UnauthorizedOperation', status: 403 } as const;
  await lab.control.script({ service: 'ec2', operation: 'DescribeSnapshots', times: 1, action });
  const done = await runCli(lab.env, ['list', '--bucket', BUCKET]);
  assert.equal(done.code, 0, done.stderr);
  const text = done.stdout + done.stderr;
  assert.match(
    text,
    new RegExp(`${snapshotId}  vol-\\w+  \\S+Z  complete +tar.lz4, [\\d.]+ KiB, STANDARD, [^,]+ old, \\S+ per month`),
  );
  assert.doesNotMatch(text, /snapshot (exists|deleted)/);
  assert.match(text, /list: 1 archive, .* per month\n/);
  // The region of the bucket counts, not that of the snapshots.
  const near = await runCli(lab.env, ['list', '--bucket', BUCKET, '--region', 'cn-north-1']);
  assert.doesNotMatch(near.stdout + near.stderr, /prices of/);
  await lab.control.addBucket('backups-far-away', { region: 'cn-north-1' });
  const there = ['--bucket', 'backups-far-away'];
  const stored = await runCli(lab.env, ['migrate', '--dd', '--source', 'direct', '--snapshots', snapshotId, ...there]);
  assert.equal(stored.code, 0, stored.stderr);
  const far = await runCli(lab.env, ['list', ...there]);
  assert.match(far.stdout + far.stderr, /\(prices of cn-north-1 are not known; those of us-east-1 are used\)\n/);
});

test('a manifest in an archive class is reported, and the other archives are listed', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--dd', '--source', 'direct'])).code, 0);
  const manifest = await keyEnding(lab, '.manifest.json');
  const Key = manifest.replaceAll(/snap-[0-9a-f]+/g, 'snap-00000000000000001');
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: '{}', StorageClass: 'GLACIER' }));
  for (const more of [[], ['--tag', 'Name']]) {
    const done = await runCli(lab.env, ['list', '--bucket', BUCKET, '--json', ...more]);
    assert.equal(done.code, 3, done.stdout + done.stderr);
    const [unreadable] = recordsOf(done).filter(({ code }) => code === 'archive.unreadable');
    assert.equal(unreadable?.['key'], Key);
  }
  const states = (await listed(lab, [], 3)).archives.map(({ state }) => state).sort();
  assert.deepEqual(states, ['complete', 'unreadable-manifest']);
});
