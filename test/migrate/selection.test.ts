/** The selection of snapshots, their tags, and the output about them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DescribeVolumesCommand } from '@aws-sdk/client-ec2';
import { keysIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage } from '../support/disks.ts';
import { tagsOf, writesIn } from '../support/ec2-state.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate } from '../support/lab.ts';

test('--all takes every completed snapshot of this account with the tag, over several pages', async (t) => {
  const lab = await labForTest(t, { pageSize: 2 });
  const first = await addSnapshotOf(lab);
  const ids = [first.snapshotId];
  for (let count = 0; count < 4; count++) ids.push((await addSnapshotOfImage(lab, first.image)).snapshotId);
  const others = [
    await addSnapshotOfImage(lab, first.image, { tags: { 'snap-to-s3': 'migrated' } }),
    await addSnapshotOfImage(lab, first.image, { tags: { other: 'migrate' } }),
    await addSnapshotOfImage(lab, first.image, { ownerId: '999999999999' }),
    await addSnapshotOfImage(lab, first.image, { state: 'pending' }),
  ];
  const done = await runMigrate(lab, ['--all', '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const end = recordsOf(done).find(({ code }) => code === 'run.finished');
  assert.ok(end);
  assert.deepEqual([...(end['done'] as string[])].sort(), [...ids].sort());
  const keys = await keysIn(lab);
  for (const { snapshotId } of others) assert.ok(!keys.some((key) => key.includes(snapshotId)));
});

test('--one takes the oldest', async (t) => {
  const lab = await labForTest(t);
  const young = await addSnapshotOf(lab, undefined, { startTime: '2020-05-05T00:00:00.000Z' });
  const old = await addSnapshotOfImage(lab, young.image, { startTime: '2017-01-01T12:34:56.789Z' });
  const done = await runMigrate(lab, ['--one']);
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(await keysIn(lab), [
    `${old.volumeId}/2017-01-01T12:34:56+00:00 ${old.snapshotId}.index.zst`,
    `${old.volumeId}/2017-01-01T12:34:56+00:00 ${old.snapshotId}.manifest.json`,
    `${old.volumeId}/2017-01-01T12:34:56+00:00 ${old.snapshotId}.tar.lz4`,
  ]);
  assert.equal((await tagsOf(lab, young.snapshotId))['snap-to-s3'], 'migrate');
});

test('--snapshots ignores tags, and removes the random id of version 0', async (t) => {
  const lab = await labForTest(t);
  const plain = await addSnapshotOf(lab, undefined, { tags: { Name: 'web' } });
  const old = await addSnapshotOfImage(lab, plain.image, {
    tags: { 'snap-to-s3': 'migrating', 'snap-to-s3-id': '1234' },
  });
  const done = await runMigrate(lab, ['--snapshots', plain.snapshotId, old.snapshotId]);
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(await tagsOf(lab, plain.snapshotId), { Name: 'web', 'snap-to-s3': 'migrated' });
  assert.deepEqual(await tagsOf(lab, old.snapshotId), { 'snap-to-s3': 'migrated' });
});

test('--snapshots with a failure: a snapshot that had no tag has none afterwards', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, undefined, { tags: {} });
  await lab.control.script({
    service: 'ec2',
    operation: 'CreateVolume',
    action: { kind: 'error', code: 'VolumeLimitExceeded' },
  });
  const done = await runMigrate(lab, ['--snapshots', snapshotId]);
  assert.equal(done.code, 1, done.stderr);
  assert.deepEqual(await tagsOf(lab, snapshotId), {});
});

test('--tag names another tag, for snapshots and for volumes', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const { snapshotId } = await addSnapshotOf(lab, undefined, { tags: { archive: 'migrate', 'snap-to-s3': 'mine' } });
  const done = await runMigrate(lab, ['--all', '--tag', 'archive', '--keep-temp-volumes']);
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(await tagsOf(lab, snapshotId), { archive: 'migrated', 'snap-to-s3': 'mine' });
  const { Volumes = [] } = await lab.ec2.send(new DescribeVolumesCommand({}));
  const tags = Object.fromEntries((Volumes[0]?.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
  assert.equal(tags['archive'], 'in-progress');
  assert.equal(tags['Name'], 'Temp for snap-to-s3');
});

test('--keep-temp-volumes leaves the volume, and the next run uses it', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const kept = await runMigrate(lab, ['--all', '--keep-temp-volumes']);
  assert.equal(kept.code, 0, kept.stderr);
  const [volume] = (await lab.control.leftovers()).filter(({ kind }) => kind === 'volume');
  const again = await runMigrate(lab, ['--snapshots', snapshotId, '--replace']);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, new RegExp(`using temporary volume ${volume?.id}`));
  assert.equal((await writesIn(lab)).filter((name) => name === 'CreateVolume').length, 1);
});

test('--volume-type and --kms-key-id reach the volume', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  await addSnapshotOf(lab);
  const argv = ['--all', '--keep-temp-volumes', '--volume-type', 'standard', '--kms-key-id', 'alias/mine'];
  const done = await runMigrate(lab, argv);
  assert.equal(done.code, 0, done.stderr);
  const { Volumes = [] } = await lab.ec2.send(new DescribeVolumesCommand({}));
  assert.deepEqual(
    Volumes.map(({ VolumeType, Encrypted, KmsKeyId }) => ({ VolumeType, Encrypted, KmsKeyId })),
    [{ VolumeType: 'standard', Encrypted: true, KmsKeyId: 'alias/mine' }],
  );
});

test('snapshots from which no volume can be created are refused by name', async (t) => {
  const lab = await labForTest(t);
  const good = await addSnapshotOf(lab);
  const archived = await addSnapshotOfImage(lab, good.image, { storageTier: 'archive' });
  const pending = await addSnapshotOfImage(lab, good.image, { state: 'pending' });
  const unknown = 'snap-00000000000000000';
  const done = await runMigrate(lab, [
    '--snapshots',
    good.snapshotId,
    archived.snapshotId,
    pending.snapshotId,
    unknown,
  ]);
  assert.equal(done.code, 3, done.stderr);
  assert.match(done.stderr, new RegExp(`${archived.snapshotId} is in the EBS archive tier`));
  assert.match(done.stderr, new RegExp(`${pending.snapshotId} is in state pending`));
  assert.match(done.stderr, new RegExp(`not a snapshot of this account and region: ${unknown}`));
  assert.match(done.stderr, /1 done, 3 failed/);
});

test('a snapshot with product codes is refused with advice', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab, undefined, { productCodes: ['abcdef'] });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, /product code/);
});

test('the exit code is 10 if no snapshot is tagged or known', async (t) => {
  const lab = await labForTest(t);
  const none = await runMigrate(lab, ['--all']);
  assert.equal(none.code, 10, none.stderr);
  assert.match(none.stderr, /aws ec2 create-tags/);
  const unknown = await runMigrate(lab, ['--snapshots', 'snap-00000000000000000']);
  assert.equal(unknown.code, 10, unknown.stderr);
});

test('run again with --replace: the archive is replaced, not refused', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  for (let run = 0; run < 2; run++) {
    const done = await runMigrate(lab, ['--snapshots', snapshotId, '--replace']);
    assert.equal(done.code, 0, done.stderr);
  }
  assert.equal((await keysIn(lab)).length, 3);
  await readManifest(lab);
});

test('--dry-run shows the plan and writes nothing', async (t) => {
  const lab = await labForTest(t);
  const disk = await addSnapshotOf(lab, undefined, { startTime: '2017-01-01T00:00:00Z' });
  const argv = ['--all', '--dry-run', '--storage-class', 'DEEP_ARCHIVE', '--prefix', 'ebs'];
  const done = await runMigrate(lab, argv);
  assert.equal(done.code, 0, done.stderr);
  const shown = done.stderr + done.stdout;
  assert.match(shown, new RegExp(`s3://${BUCKET}/ebs/${disk.volumeId}/2017-01-01T00:00:00\\+00:00 ${disk.snapshotId}`));
  assert.match(shown, /DEEP_ARCHIVE/);
  assert.match(shown, /\$\d/);
  assert.deepEqual(await writesIn(lab), []);
  const json = await runMigrate(lab, [...argv, '--json']);
  const plan = recordsOf(json).find(({ code }) => code === 'plan.snapshot')?.['plan'] as { sizeGiB: number };
  assert.equal(plan.sizeGiB, 1);
});

test('the command line of version 0 still works', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const done = await runCli(lab.env, [
    '--migrate',
    '--all',
    '--bucket',
    BUCKET,
    '--mount-point',
    `${lab.directory}/mnt`,
  ]);
  assert.equal(done.code, 0, done.stderr);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
});

test('--quiet prints nothing on success, and the reason of a failure', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  const done = await runMigrate(lab, ['--all', '--quiet']);
  assert.deepEqual({ ...done }, { code: 0, signal: null, stdout: '', stderr: '' });
  await addSnapshotOf(lab);
  await lab.control.script({
    service: 'ec2',
    operation: 'CreateVolume',
    action: { kind: 'error', code: 'VolumeLimitExceeded' },
  });
  const failed = await runMigrate(lab, ['--all', '--quiet']);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /VolumeLimitExceeded/);
});
