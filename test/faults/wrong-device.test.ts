/** A device that is mistaken for a volume is not stored, compared or overwritten. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Policy } from '../../lab/core/policy.ts';
import { run } from '../../lab/core/run.ts';
import { buildDisk } from '../../lab/disks/build.ts';
import { partitionPlace } from '../../lab/disks/inspect.ts';
import { withDevice, withFilesystem } from '../../lab/disks/mounted.ts';
import { keysIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf, PLAIN_DISK } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
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
import { assertSameBytes } from '../support/same-bytes.ts';
import { volumeImage, volumesIn } from '../support/volumes.ts';

/** Creates a foreign disk that is as large as the volume. */
async function foreignDisk(lab: TestLab): Promise<string> {
  const path = join(lab.directory, 'foreign.img');
  await buildDisk({ path, ...PLAIN_DISK });
  await run(['truncate', '--size', '1G', path]);
  return path;
}

/** Affects every attempt, because the first may be refused for a device name that another lab has just taken. */
async function attach(lab: TestLab, name: string, value = ''): Promise<void> {
  await lab.control.clearFaults();
  const action = { kind: 'behaviour', name, value } as const;
  await lab.control.script({ service: 'ec2', operation: 'AttachVolume', every: 1, action });
}

const refused = (done: Finished) => {
  assert.equal(done.code, 1, done.stdout + done.stderr);
  assert.match(done.stdout, /"code":"WRONG_DEVICE"/);
};

test('a foreign disk under the name of the volume is not archived, validated or overwritten', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const { snapshotId } = await addSnapshotOf(lab);
  const foreign = await foreignDisk(lab);
  const before = join(lab.directory, 'before.img');
  await run(['cp', '--sparse=always', foreign, before]);
  for (const layout of [[], ['--dd', '--source', 'volume']]) {
    await attach(lab, 'attach-foreign-device', foreign);
    refused(await runMigrate(lab, ['--all', '--json', '--validate', ...layout]));
    assert.deepEqual(await keysIn(lab), []);
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
    assert.deepEqual(await volumesIn(lab), []);
  }

  await attach(lab, 'attach-without-serial');
  const done = await runMigrate(lab, ['--all', '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const { device } = await readManifest(lab);
  assert.deepEqual([device?.identifiedBy, device?.reason], ['name', null]);
  assert.ok((device?.blocks ?? 0) > 0);

  await attach(lab, 'attach-foreign-device', foreign);
  refused(await runValidate(lab, ['--all', '--json']));
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');

  await attach(lab, 'attach-foreign-device', foreign);
  const mounts = ['--mount-point', join(lab.directory, 'mnt')];
  refused(await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--to-volume', '--json', ...mounts]));
  assert.deepEqual(await volumesIn(lab), []);
  await assertSameBytes(foreign, before);
});

test('a disk that was started from the same machine image is not taken for the volume', async (t) => {
  const lab = await labForTest(t);
  const populate = async (root: string) =>
    void (await run(['dd', 'if=/dev/urandom', `of=${root}/x`, 'bs=1M', 'count=40', 'status=none']));
  const { image, snapshotId } = await addSnapshotOf(lab, {
    table: 'gpt',
    partitions: [
      { content: 'random', sizeMiB: 2 },
      { content: 'ext4', sizeMiB: 64, populate },
    ],
  });
  const clone = join(lab.directory, 'clone.img');
  await run(['cp', '--sparse=always', image, clone]);
  await run(['truncate', '--size', '1G', clone]);
  await withDevice(clone, await partitionPlace(clone, 2), { readOnly: false }, (device) =>
    withFilesystem(device, 'ext4', {}, async (root) => writeFileSync(join(root, 'hostname'), 'another machine\n')),
  );
  await attach(lab, 'attach-foreign-device', clone);
  refused(await runMigrate(lab, ['--all', '--json']));
  assert.deepEqual(await keysIn(lab), []);

  await attach(lab, 'attach-without-serial');
  const done = await runMigrate(lab, ['--snapshots', snapshotId, '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.ok(((await readManifest(lab)).device?.blocks ?? 0) > 8);
});

test('without permission to compare the device, the run and the manifest report this', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  const policy: Policy = {
    Statement: [
      { Effect: 'Allow', Action: '*', Resource: '*' },
      { Effect: 'Deny', Action: 'ebs:*', Resource: '*' },
    ],
  };
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('worker', policy);
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const doctor = await runCli({ ...lab.env, ...env }, ['doctor', '--bucket', BUCKET, '--json']);
  const finding = recordsOf(doctor).find(({ check }) => check === 'permission ebs');
  assert.equal(finding?.['verdict'], 'warning', doctor.stdout);
  const done = await runMigrate(lab, ['--all', '--json'], { env });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const told = recordsOf(done).find(({ code }) => code === 'device.unproved');
  assert.match(String(told?.['reason']), /ebs:ListSnapshotBlocks/);
  const { device } = await readManifest(lab);
  assert.deepEqual([device?.identifiedBy, device?.blocks, device?.reason], ['serial', 0, told?.['reason']]);
});

test('a kept volume is recognized, even if its journal was replayed', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab, {
    table: 'none',
    partitions: [
      {
        content: 'ext4',
        sizeMiB: 32,
        populate: async (root) => void (await run(['dd', 'if=/dev/urandom', `of=${root}/x`, 'bs=1M', 'count=9'])),
      },
    ],
  });
  assert.equal((await runMigrate(lab, ['--all', '--keep-temp-volumes'])).code, 0);
  const [kept] = await volumesIn(lab);
  assert.ok(kept?.VolumeId);
  // A replayed journal leaves other bytes at the beginning of the filesystem.
  const image = join(lab.directory, '..', 'lab', 'ec2', 'volumes', `${kept.VolumeId}.img`);
  await run(['dd', 'if=/dev/urandom', `of=${image}`, 'bs=1', 'seek=1100', 'count=4', 'conv=notrunc', 'status=none']);
  const done = await runValidate(lab, ['--all', '--json', '--content-only']);
  assert.ok(
    recordsOf(done).some(({ code }) => code === 'device.proved'),
    done.stdout,
  );
});

const codesOf = (done: Finished) => recordsOf(done).map(({ code }) => code);

/** Whether the codes of all events are among those of the run, in this order. */
function assertInOrder(done: Finished, ...events: string[]): void {
  const found = codesOf(done).filter((code) => events.includes(String(code)));
  assert.deepEqual(found, events, done.stdout + done.stderr);
}

/** The events of a run that replaces the volume of an earlier run, and keeps the new one. */
const REPLACED_AND_KEPT = [
  'volume.reused',
  'volume.discarded',
  'volume.deleted',
  'volume.created',
  'device.proved',
  'volume.kept',
];

test('a kept volume that only its name identifies is replaced, and no clone is taken for it', async (t) => {
  const lab = await labForTest(t);
  const populate = async (root: string) =>
    void (await run(['dd', 'if=/dev/urandom', `of=${root}/x`, 'bs=1M', 'count=40', 'status=none']));
  const { image, snapshotId } = await addSnapshotOf(lab, {
    table: 'gpt',
    partitions: [{ content: 'ext4', sizeMiB: 64, populate }],
  });
  await attach(lab, 'attach-without-serial');
  const keep = ['--all', '--keep-temp-volumes'];
  assert.equal((await runMigrate(lab, keep)).code, 0);
  const [kept] = await volumesIn(lab);
  const done = await runValidate(lab, [...keep, '--content-only', '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assertInOrder(done, ...REPLACED_AND_KEPT);
  const volumes = await volumesIn(lab);
  assert.equal(volumes.length, 1);
  assert.notEqual(volumes[0]?.VolumeId, kept?.VolumeId);

  const clone = join(lab.directory, 'clone.img');
  await run(['cp', '--sparse=always', image, clone]);
  await run(['truncate', '--size', '1G', clone]);
  await withDevice(clone, await partitionPlace(clone, 1), { readOnly: false }, (device) =>
    withFilesystem(device, 'ext4', {}, async (root) => writeFileSync(join(root, 'hostname'), 'another machine\n')),
  );
  await attach(lab, 'attach-foreign-device', clone);
  refused(await runValidate(lab, ['--snapshots', snapshotId, '--json']));
  assert.deepEqual(await volumesIn(lab), []);
});

test('the mounted volume of a killed run is replaced if only its name identifies it', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  await attach(lab, 'attach-without-serial');
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-named` };
  assertKilled(
    await runMigrate(lab, ['--all', '--json'], {
      env,
      onLine: (line) => {
        if (line.includes('"partition.mounted"')) killFamily(env.SNAP_TO_S3_TEST_RUN);
      },
    }),
  );
  assert.equal((await volumesIn(lab))[0]?.State, 'in-use');
  const done = await runMigrate(lab, ['--all', '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assertInOrder(done, 'volume.reused', 'volume.discarded', 'volume.requested', 'volume.created', 'device.proved');
  assert.deepEqual(await volumesIn(lab), []);
});

test('a kept volume that does not hold the snapshot is replaced', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--keep-temp-volumes'])).code, 0);
  const [kept] = await volumesIn(lab);
  assert.ok(kept?.VolumeId);
  const image = volumeImage(lab, kept.VolumeId);
  await run(['dd', 'if=/dev/urandom', `of=${image}`, 'bs=1M', 'count=200', 'conv=notrunc', 'status=none']);
  const done = await runValidate(lab, ['--all', '--keep-temp-volumes', '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assertInOrder(done, ...REPLACED_AND_KEPT);
  assert.ok(!(await volumesIn(lab)).some(({ VolumeId }) => VolumeId === kept.VolumeId));
  assert.equal((await runValidate(lab, ['--snapshots', snapshotId])).code, 0);
});

test('clean does not unmount a foreign disk under the name of a volume', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const foreign = await foreignDisk(lab);
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-foreign` };
  await attach(lab, 'attach-foreign-device', foreign);
  assertKilled(
    await runMigrate(lab, ['--all', '--json'], {
      env,
      onLine: (line) => {
        if (line.includes('"volume.attached"')) killFamily(env.SNAP_TO_S3_TEST_RUN);
      },
    }),
  );
  const device = (await run(['losetup', '--noheadings', '--output', 'NAME', '--associated', foreign])).trim();
  const theirs = join(lab.directory, 'theirs');
  mkdirSync(theirs);
  await run(['mount', '-o', 'ro', device, theirs]);
  const clean = (limit: string) => {
    const flags = ['--bucket', BUCKET, '--older-than', '0', '--yes', '--mount-point', join(lab.directory, 'mnt')];
    return runCli(lab.env, ['clean', ...flags, '--wait-limit', limit]);
  };
  await clean('1');
  // This fails if the disk is no longer mounted.
  await run(['umount', theirs]);
  const done = await clean('30');
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.deepEqual(await volumesIn(lab), []);
});
