/** Uses the lab with Debian’s AWS CLI, which shares no code with the SDK for JavaScript. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, runProgram, type TestLab } from '../support/lab.ts';
import { spareDeviceName } from '../support/volumes.ts';

const AWS = '/usr/bin/aws';

/** This version does not read service endpoints from the environment. */
async function aws(lab: TestLab, service: 'ec2' | 's3' | 's3api', ...argv: string[]) {
  const endpoint = service === 'ec2' ? lab.lab.endpoints.ec2 : lab.lab.endpoints.s3;
  const done = await runProgram([AWS, '--endpoint-url', endpoint, '--output', 'json', service, ...argv], {
    env: lab.env,
  });
  const failure = /An error occurred \((\w[\w.]*)\)/.exec(done.stderr)?.[1] ?? null;
  if (done.code !== 0 && failure === null) throw new Error(done.stderr);
  return { failure, answer: (done.stdout.startsWith('{') ? JSON.parse(done.stdout) : done.stdout) as never };
}

test('EC2: snapshots, volumes, tags, paging, errors', async (t) => {
  const lab = await labForTest(t, { pageSize: 1 });
  const { snapshotId, volumeId } = await addSnapshotOf(lab, undefined, {
    description: 'über <&>',
    tags: { Name: 'a&b' },
  });
  await addSnapshotOf(lab);
  const { Snapshots } = (await aws(lab, 'ec2', 'describe-snapshots', '--owner-ids', 'self')).answer as {
    Snapshots: Record<string, unknown>[];
  };
  assert.equal(Snapshots.length, 2);
  const first = Snapshots.find((snapshot) => snapshot['SnapshotId'] === snapshotId);
  assert.deepEqual(
    [first?.['VolumeId'], first?.['Description'], first?.['State'], first?.['Tags']],
    [volumeId, 'über <&>', 'completed', [{ Key: 'Name', Value: 'a&b' }]],
  );
  const tags = "ResourceType=volume,Tags=[{Key=a,Value='b c'}]";
  const created = await aws(
    lab,
    'ec2',
    'create-volume',
    '--availability-zone',
    'us-east-1a',
    '--snapshot-id',
    snapshotId,
    '--tag-specifications',
    tags,
  );
  const { VolumeId } = created.answer as { VolumeId: string };
  await aws(lab, 'ec2', 'wait', 'volume-available', '--volume-ids', VolumeId);
  await aws(
    lab,
    'ec2',
    'attach-volume',
    '--volume-id',
    VolumeId,
    '--instance-id',
    'i-0123456789abcdef0',
    '--device',
    spareDeviceName(),
  );
  await aws(lab, 'ec2', 'wait', 'volume-in-use', '--volume-ids', VolumeId);
  assert.equal((await aws(lab, 'ec2', 'delete-volume', '--volume-id', VolumeId)).failure, 'VolumeInUse');
  await aws(lab, 'ec2', 'detach-volume', '--volume-id', VolumeId);
  await aws(lab, 'ec2', 'wait', 'volume-available', '--volume-ids', VolumeId);
  await aws(lab, 'ec2', 'delete-volume', '--volume-id', VolumeId);
  assert.equal(
    (await aws(lab, 'ec2', 'describe-snapshots', '--snapshot-ids', 'snap-1')).failure,
    'InvalidSnapshotID.Malformed',
  );
  assert.equal((await aws(lab, 'ec2', 'describe-regions', '--dry-run')).failure, 'DryRunOperation');
});

test('S3: files are uploaded in parts, listed and downloaded', async (t) => {
  const lab = await labForTest(t, { pageSize: 2 });
  const file = join(lab.directory, 'large');
  writeFileSync(file, randomBytes(20 * 2 ** 20));
  const target = `s3://${BUCKET}/dir/large file +ü`;
  await aws(lab, 's3', 'cp', '--no-progress', '--metadata', 'one=1', '--storage-class', 'STANDARD_IA', file, target);
  await aws(lab, 's3', 'cp', '--no-progress', target, `${file}.back`);
  assert.ok(readFileSync(file).equals(readFileSync(`${file}.back`)));
  for (const name of ['a', 'b', 'c', 'd'])
    await aws(lab, 's3api', 'put-object', '--bucket', BUCKET, '--key', name, '--body', '/etc/hostname');
  const { Contents } = (await aws(lab, 's3api', 'list-objects-v2', '--bucket', BUCKET)).answer as {
    Contents: { Key: string }[];
  };
  assert.deepEqual(
    Contents.map(({ Key }) => Key),
    ['a', 'b', 'c', 'd', 'dir/large file +ü'],
  );
  const head = (await aws(lab, 's3api', 'head-object', '--bucket', BUCKET, '--key', 'dir/large file +ü'))
    .answer as Record<string, unknown>;
  assert.deepEqual(
    [head['ContentLength'], head['StorageClass'], head['Metadata']],
    [20 * 2 ** 20, 'STANDARD_IA', { one: '1' }],
  );
  assert.equal(
    (await aws(lab, 's3api', 'get-object', '--bucket', BUCKET, '--key', 'none', '/dev/null')).failure,
    'NoSuchKey',
  );
  assert.equal((await aws(lab, 's3api', 'list-objects-v2', '--bucket', 'nowhere')).failure, 'NoSuchBucket');
});

test('presigned addresses work until they expire or are changed', async (t) => {
  const lab = await labForTest(t);
  await aws(lab, 's3api', 'put-object', '--bucket', BUCKET, '--key', 'x', '--body', '/etc/hostname');
  const url = ((await aws(lab, 's3', 'presign', `s3://${BUCKET}/x`, '--expires-in', '60')).answer as string).trim();
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.equal(await response.text(), readFileSync('/etc/hostname', 'utf8'));
  assert.equal((await fetch(url.replace('/x?', '/y?'))).status, 403);
  const expired = ((await aws(lab, 's3', 'presign', `s3://${BUCKET}/x`, '--expires-in', '0')).answer as string).trim();
  assert.equal((await fetch(expired)).status, 403);
});
