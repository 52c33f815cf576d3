/** `migrate` survives faults of the cloud, or reports them in one clear message and leaves nothing behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FaultSpec } from '../../lab/core/contract.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { extractTar, keyEnding, keysIn } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { labForTest, recordsOf, runMigrate } from '../support/lab.ts';
import { oneIn } from '../support/sampled.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';

const error = (code: string, status?: number) =>
  ({ kind: 'error', code, ...(status === undefined ? {} : { status }) }) as const;
const behaviour = (name: string, value?: string) =>
  ({ kind: 'behaviour', name, ...(value === undefined ? {} : { value }) }) as const;

const SURVIVED: [string, FaultSpec[]][] = [
  [
    'every third EC2 call throttled',
    [{ service: 'ec2', operation: '*', every: 3, action: error('RequestLimitExceeded') }],
  ],
  ['EC2 internal errors', [{ service: 'ec2', operation: 'DescribeVolumes', times: 2, action: error('InternalError') }]],
  [
    'a new volume that EC2 does not find yet',
    [{ service: 'ec2', operation: 'CreateVolume', action: behaviour('not-yet-visible', '4') }],
  ],
  [
    'a volume that is created slowly',
    [{ service: 'ec2', operation: 'CreateVolume', action: behaviour('slow', '1500') }],
  ],
  [
    'device names that are already in use',
    [{ service: 'ec2', operation: 'AttachVolume', times: 3, action: behaviour('device-taken') }],
  ],
  ['a lost response to CreateVolume', [{ service: 'ec2', operation: 'CreateVolume', action: { kind: 'reset' } }]],
  ['a lost response to CreateTags', [{ service: 'ec2', operation: 'CreateTags', action: { kind: 'reset' } }]],
  [
    'a volume that cannot be deleted yet',
    [{ service: 'ec2', operation: 'DeleteVolume', times: 2, action: error('VolumeInUse') }],
  ],
  ['SlowDown errors of S3', [{ service: 's3', operation: 'UploadPart', times: 3, action: error('SlowDown') }]],
  [
    'S3 internal errors',
    [
      { service: 's3', operation: 'CreateMultipartUpload', action: error('InternalError') },
      { service: 's3', operation: 'PutObject', action: error('InternalError') },
    ],
  ],
  [
    'a connection reset while a part is sent',
    [{ service: 's3', operation: 'UploadPart', action: { kind: 'cut', afterBytes: 50_000 } }],
  ],
  [
    'a completion that returns an error after status 200',
    [{ service: 's3', operation: 'CompleteMultipartUpload', action: behaviour('error-after-200') }],
  ],
  [
    'a lost response to a completion',
    [{ service: 's3', operation: 'CompleteMultipartUpload', action: behaviour('lost-answer') }],
  ],
  [
    'slow responses of all services',
    [
      { service: 'ec2', operation: '*', every: 1, action: { kind: 'latency', milliseconds: 30 } },
      { service: 's3', operation: '*', every: 1, action: { kind: 'latency', milliseconds: 30 } },
      { service: 'imds', operation: '*', every: 1, action: { kind: 'latency', milliseconds: 30 } },
    ],
  ],
];

for (const [what, faults] of oneIn(2, SURVIVED)) {
  test(`migrate survives: ${what}`, async (t) => {
    const lab = await labForTest(t);
    const disk = await addSnapshotOf(lab);
    for (const fault of faults) await lab.control.script(fault);
    const done = await runMigrate(lab, ['--all']);
    assert.equal(done.code, 0, done.stderr);
    const restored = await extractTar(lab, await keyEnding(lab, '.tar.lz4'));
    const { list } = await withMounted(disk.image, null, (original) => compareTrees(original, restored));
    assert.deepEqual(list, []);
    assert.equal((await tagsOf(lab, disk.snapshotId))['snap-to-s3'], 'migrated');
  });
}

interface Reported {
  what: string;
  faults: FaultSpec[];
  code: string;
  message: RegExp;
  argv?: string[];
}

const REPORTED: Reported[] = [
  {
    what: 'an attachment that is stuck',
    faults: [{ service: 'ec2', operation: 'AttachVolume', every: 1, action: behaviour('stuck-attaching') }],
    argv: ['--wait-limit', '3'],
    code: 'ATTACH_STUCK',
    message: /vol-\w+ \(of snap-\w+\) is stuck attaching to i-\w+ as \/dev\/sd\w/,
  },
  {
    what: 'a volume that is attached without a device',
    faults: [{ service: 'ec2', operation: 'AttachVolume', every: 1, action: behaviour('attach-without-device') }],
    argv: ['--wait-limit', '3'],
    code: 'DEVICE_NOT_FOUND',
    message: /vol-\w+ is attached as \/dev\/sd\w, but no device appeared/,
  },
  {
    what: 'a volume that enters the error state',
    faults: [{ service: 'ec2', operation: 'CreateVolume', action: behaviour('volume-error') }],
    code: 'VOLUME_FAILED',
    message: /vol-\w+ \(of snap-\w+\) entered the error state while it was being created/,
  },
  {
    what: 'an exhausted volume quota',
    faults: [{ service: 'ec2', operation: 'CreateVolume', action: error('VolumeLimitExceeded') }],
    code: 'VOLUME_FAILED',
    message: /could not create a volume of snap-\w+: VolumeLimitExceeded/,
  },
  {
    what: 'an instance without a free attachment slot',
    faults: [{ service: 'ec2', operation: 'AttachVolume', action: error('AttachmentLimitExceeded') }],
    code: 'VOLUME_FAILED',
    message: /could not attach vol-\w+/,
  },
  {
    what: 'a part that S3 refuses',
    faults: [{ service: 's3', operation: 'UploadPart', action: error('AccessDenied') }],
    code: 'ACCESS_DENIED',
    message: /could not upload part 1 of s3:\/\/backups\/vol-\w+\/.*: AccessDenied/,
  },
  {
    what: 'a bucket that no longer exists',
    faults: [{ service: 's3', operation: 'CreateMultipartUpload', action: error('NoSuchBucket') }],
    code: 'BUCKET',
    message: /could not start the upload of s3:\/\/backups\/vol-.*: there is no bucket backups/,
  },
];

for (const { what, faults, code, message, argv = [] } of REPORTED) {
  test(`migrate reports: ${what}`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab);
    for (const fault of faults) await lab.control.script(fault);
    const done = await runMigrate(lab, ['--all', '--json', ...argv]);
    assert.equal(done.code, 1, done.stdout);
    const finished = recordsOf(done).find((record) => record['code'] === 'snapshot.finished');
    const record = finished?.['error'] as { code: string; message: string; hint: string };
    assert.equal(record.code, code);
    assert.match(record.message, message);
    assert.ok(record.hint, 'there is no hint');
    assert.deepEqual(await keysIn(lab), []);
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
  });
}

test('a volume that is stuck attaching is detached by force and deleted', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  await lab.control.script({
    service: 'ec2',
    operation: 'AttachVolume',
    every: 1,
    action: behaviour('stuck-attaching'),
  });
  const done = await runMigrate(lab, ['--all', '--wait-limit', '3']);
  assert.match(done.stderr, /detached by force and deleted/);
});

test('a volume that does not detach is reported with the command that removes it', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume', 'attachment', 'loop-device', 'device-link'] });
  await addSnapshotOf(lab);
  await lab.control.script({ service: 'ec2', operation: 'DetachVolume', action: behaviour('stuck-detaching') });
  const done = await runMigrate(lab, ['--all', '--wait-limit', '3']);
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, /: done after/);
  assert.match(done.stderr, /LEFT BEHIND: .*vol-/);
  assert.match(done.stderr, /aws ec2 detach-volume --volume-id vol-/);
  // The archive is complete nevertheless.
  await keyEnding(lab, '.manifest.json');
});

test('a failed snapshot does not stop the others', async (t) => {
  const lab = await labForTest(t);
  const disks = [await addSnapshotOf(lab), await addSnapshotOf(lab), await addSnapshotOf(lab)];
  const bad = disks[1]?.snapshotId ?? '';
  await lab.control.script({
    service: 'ec2',
    operation: 'CreateVolume',
    match: { SnapshotId: bad },
    action: error('VolumeLimitExceeded'),
  });
  const done = await runMigrate(lab, ['--snapshots', ...disks.map(({ snapshotId }) => snapshotId)]);
  assert.equal(done.code, 3, done.stderr);
  assert.match(done.stderr, new RegExp(`2 done, 1 failed \\(${bad}\\)`));
  assert.equal((await keysIn(lab)).filter((key) => key.endsWith('.manifest.json')).length, 2);
});
