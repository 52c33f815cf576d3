/** Points become devices, new volumes and new snapshots that equal the disk byte for byte, also after an interruption. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DeleteVolumeCommand, DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { withDevice } from '../../lab/disks/mounted.ts';
import type { RestorePlan } from '../../src/events.ts';
import { keysIn } from '../support/archives.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, labForTest, type RunOptions, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { archivedLineage, INCREMENTAL } from '../support/lineages/archived-lineage.ts';
import { makeLineage } from '../support/lineages/lineage.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { bytesOf, imageOf, replaceObject } from '../support/tamper.ts';
import { until } from '../support/until.ts';
import { volumeImage, volumesIn } from '../support/volumes.ts';

const BLOCK = 524_288;

async function archived(t: TestContext, fixture = {}, flags: readonly string[] = [], options: RunOptions = {}) {
  const tags = { 'snap-to-s3': 'migrate', Name: 'web' };
  const { lab, points } = await archivedLineage(t, flags, options, { tags, ...fixture });
  const last = points.at(-1);
  assert.ok(last);
  return { lab, last, known: points.map(({ snapshotId }) => snapshotId) };
}

const runRestore = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli(lab.env, ['restore', '--bucket', BUCKET, '--json', ...argv], options);

async function newSnapshots(lab: TestLab, known: readonly string[]) {
  const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
  return Snapshots.filter(({ SnapshotId }) => !known.includes(SnapshotId ?? ''));
}

const putsIn = async (lab: TestLab): Promise<number> =>
  (await lab.control.calls()).filter(({ operation }) => operation === 'PutSnapshotBlock').length;

test('a device gets the disk, and zeros where it held other data', async (t) => {
  const { lab, last } = await archived(t);
  const path = join(lab.directory, 'device.img');
  const file = openSync(path, 'w');
  ftruncateSync(file, 2048 * BLOCK);
  for (const index of [0, 2, 10, 12, 900]) writeSync(file, randomBytes(BLOCK), 0, BLOCK, index * BLOCK);
  closeSync(file);
  await withDevice(path, null, { readOnly: false }, async (device) => {
    const done = await runRestore(lab, [last.snapshotId, '--to-device', device, '--yes', '--overwrite']);
    assert.equal(done.code, 0, done.stdout + done.stderr);
  });
  await assertSameBytes(path, last.image);
});

test('a new snapshot gets the blocks that have data, and the tags', async (t) => {
  const { lab, last, known } = await archived(t);
  const done = await runRestore(lab, [last.snapshotId, '--to-snapshot']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const [made, ...others] = await newSnapshots(lab, known);
  assert.deepEqual([made?.State, others.length, await putsIn(lab)], ['completed', 0, 6]);
  assert.deepEqual(await tagsOf(lab, made?.SnapshotId ?? ''), { Name: 'web' });
  await assertSameBytes(imageOf(lab, made?.SnapshotId ?? ''), last.image);
});

test('an encrypted new snapshot gets all blocks, from encrypted packs', async (t) => {
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, 'ops@example.com');
  const { lab, last, known } = await archived(t, { encrypted: true }, ['--gpg-recipient', 'ops@example.com'], { env });
  const done = await runRestore(lab, [last.snapshotId, '--to-snapshot'], { env });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const [made] = await newSnapshots(lab, known);
  assert.deepEqual([made?.Encrypted, await putsIn(lab)], [true, 2048]);
  await assertSameBytes(imageOf(lab, made?.SnapshotId ?? ''), last.image);
});

const toVolume = (lab: TestLab, argv: readonly string[]) =>
  runRestore(lab, ['--to-volume', '--wait-limit', '30', '--mount-point', join(lab.directory, 'mnt'), ...argv]);

for (const encrypted of [false, true]) {
  test(`a new volume gets the disk; encrypted: ${encrypted}`, async (t) => {
    const { lab, last } = await archived(t, { encrypted });
    const dry = await toVolume(lab, [last.snapshotId, '--dry-run']);
    assert.equal(dry.code, 0, dry.stdout + dry.stderr);
    const { plan } = recordsOf(dry).find(({ code }) => code === 'restore.planned') as { plan: RestorePlan } & object;
    assert.deepEqual([plan.target, plan.objects.length, (await volumesIn(lab)).length], ['volume', 3, 0]);
    const done = await toVolume(lab, [last.snapshotId]);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    const [made, ...others] = await volumesIn(lab);
    assert.deepEqual([made?.Encrypted, made?.State, others.length], [encrypted, 'available', 0]);
    assert.ok(made?.Tags?.some(({ Key, Value }) => Key === 'Name' && Value === 'web'));
    await assertSameBytes(volumeImage(lab, made?.VolumeId ?? ''), last.image);
    await lab.ec2.send(new DeleteVolumeCommand({ VolumeId: made?.VolumeId }));
  });
}

test('a damaged pack of another snapshot leaves no volume', async (t) => {
  const { lab, last, known } = await archived(t);
  const pack = (await keysIn(lab)).find((key) => key.includes(known[0] ?? '-') && key.includes('.pack.')) ?? '';
  const body = await bytesOf(lab, pack);
  for (let at = 1000; at < body.length; at += 1000) body[at] = (body[at] ?? 0) ^ 1;
  await replaceObject(lab, pack, body);
  const done = await toVolume(lab, [last.snapshotId]);
  assert.equal(done.code, 12, done.stdout + done.stderr);
  assert.ok(done.stdout.includes(pack), done.stdout);
  assert.deepEqual(await volumesIn(lab), []);
});

const MANY = Array.from({ length: 1100 }, (_, index) => index);

test('a killed restore to a snapshot is resumed at the block where it was stopped', async (t) => {
  const lab = await labForTest(t);
  const [, last] = await makeLineage(lab, [{ write: MANY }, { write: [2000, 7] }], {
    tags: { 'snap-to-s3': 'migrate' },
  });
  assert.ok(last);
  const migrated = await runMigrate(lab, INCREMENTAL);
  assert.equal(migrated.code, 0, migrated.stdout + migrated.stderr);
  await lab.control.script({
    service: 'ebs',
    operation: 'PutSnapshotBlock',
    skip: 1070,
    times: 100,
    action: { kind: 'hang' },
  });
  const env = { SNAP_TO_S3_TEST_RUN: `${last.snapshotId}-killed` };
  const killed = runRestore(lab, [last.snapshotId, '--to-snapshot'], { env });
  const before = async () => {
    const snapshots = await lab.ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
    const tags = snapshots.Snapshots?.flatMap(({ Tags = [] }) => Tags) ?? [];
    return tags.some(({ Key, Value = '' }) => Key === 'snap-to-s3-restore' && Number(Value.split(' ')[2]) >= 1024);
  };
  await until(before);
  killFamily(env.SNAP_TO_S3_TEST_RUN);
  assertKilled(await killed);
  await lab.control.clearFaults();
  const puts = await putsIn(lab);
  const rest = await runRestore(lab, [last.snapshotId, '--to-snapshot']);
  assert.equal(rest.code, 0, rest.stdout + rest.stderr);
  assert.ok(recordsOf(rest).some(({ code }) => code === 'restore.continued'));
  assert.ok((await putsIn(lab)) - puts < 100);
  const target = String(recordsOf(rest).find(({ code }) => code === 'object.restored')?.['target']);
  await assertSameBytes(imageOf(lab, target), last.image);
});
