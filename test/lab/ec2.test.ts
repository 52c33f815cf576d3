/** Uses EC2 of the lab with the AWS SDK. */
import assert from 'node:assert/strict';
import { existsSync, realpathSync } from 'node:fs';
import { test } from 'node:test';
import {
  AttachVolumeCommand,
  CreateSnapshotCommand,
  CreateTagsCommand,
  CreateVolumeCommand,
  type CreateVolumeCommandInput,
  DeleteSnapshotCommand,
  DeleteTagsCommand,
  DeleteVolumeCommand,
  DescribeImagesCommand,
  DescribeInstanceAttributeCommand,
  DescribeInstancesCommand,
  DescribeInstanceTypesCommand,
  DescribeRegionsCommand,
  DescribeSnapshotsCommand,
  DescribeTagsCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  EC2Client,
  paginateDescribeSnapshots,
} from '@aws-sdk/client-ec2';
import { addSnapshotOf, addSnapshotOfImage } from '../support/disks.ts';
import { credentialsOf, labForTest, type TestLab } from '../support/lab.ts';
import { spareDeviceName } from '../support/volumes.ts';

const ZONE = 'us-east-1a';

const rejectsWith = (call: Promise<unknown>, name: string) =>
  assert.rejects(call, (error: Error) => {
    assert.equal(error.name, name, error.message);
    return true;
  });

const volume = async ({ ec2 }: TestLab, id: string) =>
  (await ec2.send(new DescribeVolumesCommand({ VolumeIds: [id] }))).Volumes?.[0];

/** Polls without pauses, because the lab's delays are only milliseconds. */
async function until(look: () => Promise<boolean>): Promise<void> {
  while (!(await look())) await new Promise((resolve) => setImmediate(resolve));
}

async function giveBack({ ec2 }: TestLab, id: string): Promise<void> {
  await ec2.send(new DetachVolumeCommand({ VolumeId: id })).catch(() => {});
  await until(async () =>
    ec2.send(new DeleteVolumeCommand({ VolumeId: id })).then(
      () => true,
      () => false,
    ),
  );
}

test('a volume goes through its states, and is a block device while it is attached', async (t) => {
  const lab = await labForTest(t, { delays: { volumeCreating: 5000, attaching: 60, detaching: 60, deleting: 60 } });
  const disk = await addSnapshotOf(lab, {
    table: 'gpt',
    partitions: [{ content: 'ext4', sizeMiB: 8 }],
  });
  const { ec2 } = lab;
  const name = spareDeviceName();
  const made = await ec2.send(new CreateVolumeCommand({ AvailabilityZone: ZONE, SnapshotId: disk.snapshotId }));
  const id = made.VolumeId ?? '';
  assert.equal(made.State, 'creating');
  await rejectsWith(
    ec2.send(new AttachVolumeCommand({ VolumeId: id, InstanceId: 'i-0123456789abcdef0', Device: name })),
    'IncorrectState',
  );
  await until(async () => (await volume(lab, id))?.State === 'available');
  const attach = { VolumeId: id, InstanceId: 'i-0123456789abcdef0', Device: name };
  assert.equal((await ec2.send(new AttachVolumeCommand(attach))).State, 'attaching');
  await until(async () => (await volume(lab, id))?.Attachments?.[0]?.State === 'attached');
  const link = `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${id.replace('-', '')}`;
  assert.equal(realpathSync(link), realpathSync(name));
  assert.ok(existsSync(`${link}-part1`), 'its partition has no node');
  const mapping = await ec2.send(
    new DescribeInstanceAttributeCommand({ InstanceId: attach.InstanceId, Attribute: 'blockDeviceMapping' }),
  );
  assert.ok(mapping.BlockDeviceMappings?.some(({ DeviceName }) => DeviceName === name));
  await rejectsWith(ec2.send(new DeleteVolumeCommand({ VolumeId: id })), 'VolumeInUse');
  assert.equal((await ec2.send(new DetachVolumeCommand({ VolumeId: id }))).State, 'detaching');
  await until(async () => (await volume(lab, id))?.State === 'available');
  assert.ok(!existsSync(link) && !existsSync(name), 'links outlived the attachment');
  await ec2.send(new DeleteVolumeCommand({ VolumeId: id }));
  await until(async () =>
    volume(lab, id).then(
      () => false,
      () => true,
    ),
  );
  await rejectsWith(volume(lab, id), 'InvalidVolume.NotFound');
});

test('client tokens: a repeated call creates one volume; other parameters are refused', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const wanted = { AvailabilityZone: ZONE, SnapshotId: snapshotId, ClientToken: 'token' };
  const [first, second] = [
    await lab.ec2.send(new CreateVolumeCommand(wanted)),
    await lab.ec2.send(new CreateVolumeCommand(wanted)),
  ];
  assert.equal(first.VolumeId, second.VolumeId);
  await rejectsWith(
    lab.ec2.send(new CreateVolumeCommand({ ...wanted, VolumeType: 'gp3' })),
    'IdempotentParameterMismatch',
  );
  await giveBack(lab, first.VolumeId ?? '');
});

test('io1 and io2 need a number of IOPS, gp3 accepts one, and gp2 has none', async (t) => {
  const lab = await labForTest(t);
  const create = (more: Partial<CreateVolumeCommandInput>) =>
    lab.ec2.send(new CreateVolumeCommand({ AvailabilityZone: ZONE, Size: 4, ...more }));
  for (const VolumeType of ['io1', 'io2'] as const) {
    await rejectsWith(create({ VolumeType }), 'InvalidParameterCombination');
    await giveBack(lab, (await create({ VolumeType, Iops: 100 })).VolumeId ?? '');
  }
  await rejectsWith(create({ VolumeType: 'gp2', Iops: 100 }), 'InvalidParameterCombination');
  await giveBack(lab, (await create({ VolumeType: 'gp3', Iops: 3000 })).VolumeId ?? '');
});

test('lists are paged, and filters support wildcards', async (t) => {
  const lab = await labForTest(t, { pageSize: 3 });
  const { image } = await addSnapshotOf(lab, undefined, { description: 'nightly 1' });
  for (let count = 2; count <= 7; count++) await addSnapshotOfImage(lab, image, { description: `nightly ${count}` });
  await addSnapshotOfImage(lab, image, { description: 'weekly*' });
  const sizes: number[] = [];
  for await (const page of paginateDescribeSnapshots({ client: lab.ec2, pageSize: 5 }, { OwnerIds: ['self'] })) {
    sizes.push(page.Snapshots?.length ?? 0);
  }
  assert.deepEqual(sizes, [3, 3, 2]);
  const matching = async (pattern: string) => {
    let count = 0;
    const filters = [{ Name: 'description', Values: [pattern] }];
    for await (const page of paginateDescribeSnapshots({ client: lab.ec2 }, { Filters: filters }))
      count += page.Snapshots?.length ?? 0;
    return count;
  };
  assert.deepEqual(
    [await matching('nightly*'), await matching('nightly ?'), await matching('*'), await matching('weekly\\*')],
    [7, 7, 8, 1],
  );
  await rejectsWith(
    lab.ec2.send(new DescribeSnapshotsCommand({ Filters: [{ Name: 'color', Values: ['red'] }] })),
    'InvalidParameterValue',
  );
  await rejectsWith(
    lab.ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: ['snap-00000000'], MaxResults: 5 })),
    'InvalidParameterCombination',
  );
});

test('tags: limits, deletion by value, and the list of them', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, undefined, { tags: { a: '1', b: '2' } });
  const { ec2 } = lab;
  await ec2.send(
    new DeleteTagsCommand({ Resources: [snapshotId], Tags: [{ Key: 'a', Value: 'other' }, { Key: 'b' }] }),
  );
  const { Tags = [] } = await ec2.send(
    new DescribeTagsCommand({ Filters: [{ Name: 'resource-id', Values: [snapshotId] }] }),
  );
  assert.deepEqual(
    Tags.map(({ Key, Value }) => `${Key}=${Value}`),
    ['a=1'],
  );
  const many = Array.from({ length: 50 }, (_, index) => ({ Key: `k${index}`, Value: 'v' }));
  await rejectsWith(ec2.send(new CreateTagsCommand({ Resources: [snapshotId], Tags: many })), 'TagLimitExceeded');
  const ofAws = await addSnapshotOf(lab, undefined, { tags: { 'aws:backup:source': 'x' } });
  await ec2.send(new CreateTagsCommand({ Resources: [ofAws.snapshotId], Tags: many }));
  await ec2.send(new CreateTagsCommand({ Resources: [ofAws.snapshotId], Tags: [{ Key: 'k0', Value: 'w' }] }));
  await rejectsWith(
    ec2.send(new CreateTagsCommand({ Resources: [ofAws.snapshotId], Tags: [{ Key: 'k50', Value: 'v' }] })),
    'TagLimitExceeded',
  );
  await rejectsWith(
    ec2.send(new CreateTagsCommand({ Resources: [snapshotId], Tags: [{ Key: 'x', Value: 'v'.repeat(257) }] })),
    'InvalidParameterValue',
  );
  await rejectsWith(
    ec2.send(new CreateTagsCommand({ Resources: [snapshotId], Tags: [{ Key: 'aws:x', Value: '' }] })),
    'InvalidParameterValue',
  );
  await rejectsWith(
    ec2.send(new CreateTagsCommand({ Resources: ['snap-00000000000000000'], Tags: [{ Key: 'x', Value: '' }] })),
    'InvalidSnapshot.NotFound',
  );
});

test('snapshots are created from volumes, and deleted', async (t) => {
  const lab = await labForTest(t, { delays: { snapshotPending: 50 } });
  const { ec2 } = lab;
  const { VolumeId = '' } = await ec2.send(new CreateVolumeCommand({ AvailabilityZone: ZONE, Size: 1 }));
  await until(async () => (await volume(lab, VolumeId))?.State === 'available');
  const { SnapshotId = '', State } = await ec2.send(new CreateSnapshotCommand({ VolumeId, Description: 'mine' }));
  assert.equal(State, 'pending');
  const look = async () => (await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] }))).Snapshots?.[0];
  await until(async () => (await look())?.State === 'completed');
  await ec2.send(new DeleteSnapshotCommand({ SnapshotId }));
  await rejectsWith(look(), 'InvalidSnapshot.NotFound');
  await giveBack(lab, VolumeId);
});

test('errors have the codes of EC2', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const { ec2 } = lab;
  const create = (more: object) =>
    ec2.send(new CreateVolumeCommand({ AvailabilityZone: ZONE, SnapshotId: snapshotId, ...more }));
  await rejectsWith(create({ SnapshotId: 'snap-1' }), 'InvalidSnapshotID.Malformed');
  await rejectsWith(create({ SnapshotId: 'snap-00000000000000000' }), 'InvalidSnapshot.NotFound');
  await rejectsWith(create({ VolumeType: 'gp9' }), 'UnknownVolumeType');
  await rejectsWith(create({ AvailabilityZone: 'eu-west-1a' }), 'InvalidZone.NotFound');
  await rejectsWith(create({ KmsKeyId: 'k' }), 'InvalidParameterDependency');
  await rejectsWith(create({ VolumeType: 'st1' }), 'InvalidParameterValue');
  await rejectsWith(
    ec2.send(new DescribeVolumesCommand({ VolumeIds: ['vol-00000000000000000'] })),
    'InvalidVolume.NotFound',
  );
  await rejectsWith(
    ec2.send(new DescribeInstancesCommand({ InstanceIds: ['i-00000000000000000'] })),
    'InvalidInstanceID.NotFound',
  );
  await rejectsWith(ec2.send(new DescribeRegionsCommand({ DryRun: true })), 'DryRunOperation');
  assert.equal((await ec2.send(new DescribeRegionsCommand({}))).Regions?.[0]?.RegionName, 'us-east-1');
  const types = await ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes: ['m7i.large'] }));
  assert.equal(types.InstanceTypes?.[0]?.EbsInfo?.NvmeSupport, 'required');
});

test('missing permissions and wrong signatures are refused', async (t) => {
  const lab = await labForTest(t);
  const clientOf = (credentials: ReturnType<typeof credentialsOf>) =>
    new EC2Client({ region: 'us-east-1', endpoint: lab.lab.endpoints.ec2, credentials, maxAttempts: 1 });
  const reader = await lab.control.addIdentity('reader', {
    Statement: { Effect: 'Allow', Action: 'ec2:Describe*', Resource: '*' },
  });
  const limited = clientOf(reader);
  await limited.send(new DescribeVolumesCommand({}));
  await rejectsWith(
    limited.send(new CreateVolumeCommand({ AvailabilityZone: ZONE, Size: 1 })),
    'UnauthorizedOperation',
  );
  const mine = credentialsOf(lab.lab.environment());
  await rejectsWith(
    clientOf({ ...mine, secretAccessKey: 'wrong' }).send(new DescribeVolumesCommand({})),
    'AuthFailure',
  );
  await rejectsWith(
    clientOf({ ...mine, accessKeyId: 'AKIAUNKNOWN' }).send(new DescribeVolumesCommand({})),
    'AuthFailure',
  );
  const late = await lab.control.addIdentity('late', null, new Date(Date.now() - 1000).toISOString());
  await rejectsWith(clientOf(late).send(new DescribeVolumesCommand({})), 'RequestExpired');
});

test('other regions have their own snapshots, volumes and images', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'], pageSize: 1 });
  const there = { region: 'eu-west-1', credentials: credentialsOf(lab.env), endpoint: lab.lab.endpoints.ec2 };
  const elsewhere = new EC2Client(there);
  t.after(() => elsewhere.destroy());
  const { snapshotId } = await lab.control.addSnapshot({ sizeGiB: 500, region: 'eu-west-1', dataBytes: 2 ** 30 });
  const { imageId } = await lab.control.addImage({ snapshotIds: [snapshotId], region: 'eu-west-1' });
  await lab.control.addImage({ snapshotIds: [], region: 'eu-west-1', ownerId: '999999999999' });
  await elsewhere.send(new CreateVolumeCommand({ AvailabilityZone: 'eu-west-1a', Size: 20, VolumeType: 'gp3' }));
  await rejectsWith(
    lab.ec2.send(new CreateVolumeCommand({ AvailabilityZone: 'eu-west-1a', Size: 20 })),
    'InvalidZone.NotFound',
  );
  const [snapshot] = (await elsewhere.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }))).Snapshots ?? [];
  assert.deepEqual(
    [snapshot?.SnapshotId, snapshot?.VolumeSize, snapshot?.FullSnapshotSizeInBytes],
    [snapshotId, 500, 2 ** 30],
  );
  const { Images = [], NextToken } = await elsewhere.send(
    new DescribeImagesCommand({ Owners: ['self'], MaxResults: 5 }),
  );
  assert.deepEqual([Images.length, NextToken, Images[0]?.ImageId], [1, undefined, imageId]);
  assert.equal(Images[0]?.BlockDeviceMappings?.[0]?.Ebs?.SnapshotId, snapshotId);
  const Filters = [{ Name: 'block-device-mapping.snapshot-id', Values: ['snap-00000000'] }];
  assert.deepEqual((await elsewhere.send(new DescribeImagesCommand({ Filters }))).Images, []);
  assert.equal((await elsewhere.send(new DescribeVolumesCommand({}))).Volumes?.length, 1);
  for (const command of [new DescribeSnapshotsCommand({ OwnerIds: ['self'] }), new DescribeVolumesCommand({})]) {
    const { Snapshots = [], Volumes = [] } = (await lab.ec2.send(command as never)) as { Snapshots?: []; Volumes?: [] };
    assert.equal(Snapshots.length + Volumes.length, 0);
  }
});
