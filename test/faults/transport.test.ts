/** Faults in transit: lost responses and flipped bits. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import type { FaultSpec } from '../../lab/core/contract.ts';
import { keyEnding } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { assertSameBytes } from '../support/same-bytes.ts';

async function underFault(lab: TestLab, argv: readonly string[], ...faults: FaultSpec[]) {
  for (const fault of faults) await lab.control.script(fault);
  const done = await runCli(lab.env, argv);
  const unplayed = await lab.control.unusedFaults();
  await lab.control.clearFaults();
  assert.equal(done.code, 0, `${argv[0]}: ${done.stdout}${done.stderr}`);
  assert.deepEqual(
    unplayed.map(({ operation }) => operation),
    [],
    `${argv[0]} does not meet all faults`,
  );
  return done;
}

const inBucket = ['--bucket', BUCKET];
const onMachine = (lab: TestLab) => ['--mount-point', join(lab.directory, 'mnt')];

const lost = (service: FaultSpec['service'], operation: string): FaultSpec => ({
  service,
  operation,
  action: { kind: 'lose' },
});

test('calls that change something take effect once, even if the response is lost', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  const ofVolumes = ['CreateVolume', 'AttachVolume', 'DetachVolume', 'DeleteVolume', 'CreateTags'];
  const ofObjects = ['CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload', 'PutObject', 'DeleteObject'];
  await underFault(
    lab,
    ['migrate', '--all', '--wait-limit', '10', ...inBucket, ...onMachine(lab)],
    ...ofVolumes.map((operation) => lost('ec2', operation)),
    ...ofObjects.map((operation) => lost('s3', operation)),
  );
});

const flip = (operation: string, match = {}): FaultSpec => ({
  service: 's3',
  operation,
  match,
  action: { kind: 'flip', at: 200 },
});

test('a bit that flips in transit, in either direction, has no effect', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const migrated = ['migrate', '--all', ...inBucket, ...onMachine(lab)];
  await underFault(lab, migrated, flip('UploadPart'), flip('PutObject'));
  const keys = await Promise.all(['.tar.lz4', '.manifest.json'].map((ending) => keyEnding(lab, ending)));
  const validated = ['validate', '--all', '--json', ...inBucket, ...onMachine(lab)];
  const done = await underFault(lab, validated, ...keys.map((key) => flip('GetObject', { key })));
  assert.ok(
    recordsOf(done).some(({ code }) => code === 'object.reread'),
    done.stdout,
  );
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
});

test('images: lost responses and flipped bits do not damage a snapshot or a file', async (t) => {
  const lab = await labForTest(t);
  // In random bytes, a flipped bit has an effect wherever it is. In the zeros of a filesystem, lz4 may decode it to zeros again.
  const disk = { table: 'none' as const, partitions: [{ content: 'random' as const, sizeMiB: 4 }] };
  const { snapshotId, image } = await addSnapshotOf(lab, disk);
  await underFault(lab, ['migrate', '--all', '--dd', '--source', 'direct', '--call-timeout', '1', ...inBucket], {
    service: 'ebs',
    operation: 'GetSnapshotBlock',
    action: { kind: 'stall', afterBytes: 1000 },
  });
  await underFault(
    lab,
    ['restore', snapshotId, '--to-snapshot', ...inBucket],
    ...['StartSnapshot', 'PutSnapshotBlock', 'CompleteSnapshot'].map((operation) => lost('ebs', operation)),
  );
  const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
  assert.deepEqual(
    Snapshots.map(({ State }) => State),
    ['completed', 'completed'],
  );
  const file = join(lab.directory, 'restored.img');
  const key = await keyEnding(lab, '.img.lz4');
  for (const flags of [[], ['--no-index']]) {
    const argv = ['restore', snapshotId, '--to-file', file, '--overwrite', '--json', ...flags, ...inBucket];
    const done = await underFault(lab, argv, { ...flip('GetObject', { key }) });
    assert.ok(
      recordsOf(done).some(({ code }) => code === 'object.reread'),
      done.stdout,
    );
    await assertSameBytes(file, image, { bytes: statSync(image).size });
  }
});

test('a volume that cannot be detached is not deleted repeatedly', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume', 'attachment', 'loop-device', 'device-link'] });
  await addSnapshotOf(lab);
  const action = { kind: 'error', code: 'UnauthorizedOperation', status: 403 } as const;
  await lab.control.script({ service: 'ec2', operation: 'DetachVolume', every: 1, action });
  const done = await runMigrate(lab, ['--all', '--wait-limit', '600']);
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, /could not clean up the attachment of vol-\w+ .*UnauthorizedOperation/);
  assert.match(done.stderr, /could not clean up volume vol-\w+ .*which is billed: vol-\w+ is still attached to i-/);
  const deletions = (await lab.control.calls()).filter(({ operation }) => operation === 'DeleteVolume');
  assert.equal(deletions.length, 1);
});

test('a response that does not come from AWS is reported as such', async (t) => {
  const lab = await labForTest(t);
  await lab.control.script({ service: 's3', operation: 'ListObjectsV2', every: 1, action: { kind: 'flip', at: 0 } });
  const done = await runCli(lab.env, ['list', ...inBucket, '--json']);
  assert.equal(done.code, 1, done.stderr);
  assert.match(
    done.stderr,
    /could not list s3:\/\/backups\/\S* after 5 attempts \(unreadable response ×5\): the response cannot be parsed \(HTTP 200\)/,
  );
  assert.doesNotMatch(done.stderr, /hidden field/);
  assert.match(done.stdout, /"because":"unreadable response"/);
});
