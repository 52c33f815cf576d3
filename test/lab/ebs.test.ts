/** Uses the EBS direct APIs of the lab with the AWS SDK. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import {
  CompleteSnapshotCommand,
  EBSClient,
  GetSnapshotBlockCommand,
  ListSnapshotBlocksCommand,
  PutSnapshotBlockCommand,
  paginateListChangedBlocks,
  paginateListSnapshotBlocks,
  StartSnapshotCommand,
  type StartSnapshotRequest,
} from '@aws-sdk/client-ebs';
import {
  CreateVolumeCommand,
  DeleteSnapshotCommand,
  DeleteVolumeCommand,
  DescribeSnapshotsCommand,
} from '@aws-sdk/client-ec2';
import { addSnapshotOf } from '../support/disks.ts';
import { credentialsOf, labForTest, type TestLab } from '../support/lab.ts';
import { imageOf } from '../support/tamper.ts';

const BLOCK = 524_288;

const clientOf = (lab: TestLab) =>
  new EBSClient({
    region: lab.env['AWS_REGION'] ?? '',
    endpoint: lab.env['AWS_ENDPOINT_URL_EBS'] ?? '',
    credentials: credentialsOf(lab.env),
    maxAttempts: 1,
  });

const digestOf = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** @param name the code of the error. @param reason the `Reason` of the error. */
const rejectsWith = (call: Promise<unknown>, name: string, reason?: string) =>
  assert.rejects(call, (error: Error & { Reason?: string }) => {
    assert.equal(error.name, name, error.message);
    if (reason !== undefined) assert.equal(error.Reason, reason);
    return true;
  });

async function put(ebs: EBSClient, SnapshotId: string, BlockIndex: number, bytes: Buffer): Promise<Buffer> {
  const digest = digestOf(bytes);
  const input = { SnapshotId, BlockIndex, BlockData: bytes, DataLength: BLOCK, ChecksumAlgorithm: 'SHA256' as const };
  await ebs.send(new PutSnapshotBlockCommand({ ...input, Checksum: digest.toString('base64') }));
  return digest;
}

/** @param blocks are written in this order. */
async function write(
  ebs: EBSClient,
  blocks: ReadonlyMap<number, Buffer>,
  start: Partial<StartSnapshotRequest> = {},
): Promise<string> {
  const { SnapshotId = '' } = await ebs.send(new StartSnapshotCommand({ VolumeSize: 1, ...start }));
  const digests = new Map<number, Buffer>();
  for (const [index, bytes] of blocks) digests.set(index, await put(ebs, SnapshotId, index, bytes));
  const all = createHash('sha256');
  for (const index of [...digests.keys()].sort((a, b) => a - b)) all.update(digests.get(index) ?? '');
  await ebs.send(
    new CompleteSnapshotCommand({
      SnapshotId,
      ChangedBlocksCount: blocks.size,
      Checksum: all.digest('base64'),
      ChecksumAlgorithm: 'SHA256',
      ChecksumAggregationMethod: 'LINEAR',
    }),
  );
  return SnapshotId;
}

async function read(ebs: EBSClient, SnapshotId: string): Promise<Map<number, Buffer>> {
  const blocks = new Map<number, Buffer>();
  for await (const page of paginateListSnapshotBlocks({ client: ebs }, { SnapshotId })) {
    for (const { BlockIndex = -1, BlockToken } of page.Blocks ?? []) {
      const { BlockData, Checksum } = await ebs.send(
        new GetSnapshotBlockCommand({ SnapshotId, BlockIndex, BlockToken }),
      );
      const bytes = Buffer.from((await BlockData?.transformToByteArray()) ?? []);
      assert.equal(digestOf(bytes).toString('base64'), Checksum);
      blocks.set(BlockIndex, bytes);
    }
  }
  return blocks;
}

async function changed(ebs: EBSClient, first: string | undefined, SecondSnapshotId: string) {
  const found: [number, boolean, boolean][] = [];
  const input = { SecondSnapshotId, ...(first === undefined ? {} : { FirstSnapshotId: first }) };
  for await (const page of paginateListChangedBlocks({ client: ebs }, input)) {
    for (const { BlockIndex = -1, FirstBlockToken, SecondBlockToken } of page.ChangedBlocks ?? []) {
      found.push([BlockIndex, FirstBlockToken !== undefined, SecondBlockToken !== undefined]);
    }
  }
  return found;
}

test('written blocks are read back, with small and empty pages', async (t) => {
  const lab = await labForTest(t, { pageSize: 2 });
  const ebs = clientOf(lab);
  const blocks = new Map([5, 1, 2047, 3, 0].map((index) => [index, randomBytes(BLOCK)]));
  blocks.set(7, Buffer.alloc(BLOCK));
  const id = await write(ebs, blocks, { Description: 'by hand', Tags: [{ Key: 'Name', Value: 'x' }] });
  await lab.control.script({
    service: 'ebs',
    operation: 'ListSnapshotBlocks',
    skip: 1,
    action: { kind: 'behaviour', name: 'empty-page' },
  });
  const found = await read(ebs, id);
  assert.deepEqual([...found.keys()], [0, 1, 3, 5, 7, 2047]);
  for (const [index, bytes] of found) assert.ok(bytes.equals(blocks.get(index) ?? Buffer.alloc(0)), `block ${index}`);
  const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }));
  const [snapshot] = Snapshots;
  assert.deepEqual(
    [snapshot?.State, snapshot?.VolumeSize, snapshot?.VolumeId, snapshot?.Description, snapshot?.Tags?.[0]?.Value],
    ['completed', 1, 'vol-ffffffff', 'by hand', 'x'],
  );
});

test('changed blocks relative to a parent; unrelated snapshots are refused', async (t) => {
  const lab = await labForTest(t);
  const ebs = clientOf(lab);
  const [same, before, after] = [randomBytes(BLOCK), randomBytes(BLOCK), randomBytes(BLOCK)];
  const parent = await write(
    ebs,
    new Map([
      [0, same],
      [1, before],
    ]),
  );
  const changes = new Map([
    [1, after],
    [9, same],
  ]);
  const child = await write(ebs, changes, { ParentSnapshotId: parent });
  const found = await read(ebs, child);
  assert.deepEqual([...found.keys()], [0, 1, 9]);
  assert.ok(found.get(0)?.equals(same) && found.get(1)?.equals(after));
  assert.deepEqual(await changed(ebs, parent, child), [
    [1, true, true],
    [9, false, true],
  ]);
  assert.deepEqual(
    (await changed(ebs, undefined, child)).map(([index]) => index),
    [0, 1, 9],
  );
  const stranger = await write(ebs, changes);
  await rejectsWith(changed(ebs, parent, stranger), 'ValidationException', 'UNRELATED_SNAPSHOTS');
});

test('wrong blocks, counts and checksums are refused', async (t) => {
  const lab = await labForTest(t);
  const ebs = clientOf(lab);
  const { SnapshotId = '' } = await ebs.send(new StartSnapshotCommand({ VolumeSize: 1 }));
  const input = { SnapshotId, BlockIndex: 0, DataLength: BLOCK, ChecksumAlgorithm: 'SHA256' as const };
  const Checksum = digestOf(Buffer.alloc(BLOCK)).toString('base64');
  const wrong = new PutSnapshotBlockCommand({ ...input, BlockData: randomBytes(BLOCK), Checksum });
  await rejectsWith(ebs.send(wrong), 'ValidationException', 'INVALID_BLOCK');
  const outside = new PutSnapshotBlockCommand({ ...input, BlockIndex: 2048, BlockData: Buffer.alloc(BLOCK), Checksum });
  await rejectsWith(ebs.send(outside), 'ValidationException', 'INVALID_BLOCK');
  await put(ebs, SnapshotId, 0, Buffer.alloc(BLOCK));
  await rejectsWith(ebs.send(new ListSnapshotBlocksCommand({ SnapshotId })), 'ValidationException');
  await ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 2 }));
  const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] }));
  assert.equal(Snapshots[0]?.State, 'error');
  await lab.ec2.send(new DeleteSnapshotCommand({ SnapshotId }));
  await rejectsWith(ebs.send(new ListSnapshotBlocksCommand({ SnapshotId })), 'ResourceNotFoundException');
});

test('client tokens, sizes and encryption', async (t) => {
  const lab = await labForTest(t);
  const ebs = clientOf(lab);
  const start = (input: Partial<StartSnapshotRequest>) =>
    ebs.send(new StartSnapshotCommand({ VolumeSize: 1, ...input }));
  const first = await start({ ClientToken: 'a' });
  assert.equal((await start({ ClientToken: 'a' })).SnapshotId, first.SnapshotId);
  await rejectsWith(start({ ClientToken: 'a', VolumeSize: 2 }), 'ConflictException');
  await rejectsWith(start({ VolumeSize: 0 }), 'ValidationException', 'INVALID_VOLUME_SIZE');
  const KmsKeyArn = 'arn:aws:kms:us-east-1:123456789012:key/11111111-0000-4000-8000-000000000000';
  assert.equal((await start({ KmsKeyArn })).KmsKeyArn, KmsKeyArn);
  await rejectsWith(start({ Encrypted: false, KmsKeyArn }), 'ValidationException');
  const parent = await write(ebs, new Map([[0, randomBytes(BLOCK)]]), { Encrypted: true });
  await rejectsWith(start({ ParentSnapshotId: parent, Encrypted: true }), 'ValidationException');
  assert.ok((await start({ ParentSnapshotId: parent })).KmsKeyArn);
});

test('a token is valid for one block of one snapshot; rate limits apply', async (t) => {
  const lab = await labForTest(t);
  const ebs = clientOf(lab);
  const blocks = new Map([
    [0, randomBytes(BLOCK)],
    [1, randomBytes(BLOCK)],
  ]);
  const [first, second] = [await write(ebs, blocks), await write(ebs, blocks)];
  const { Blocks = [] } = await ebs.send(new ListSnapshotBlocksCommand({ SnapshotId: first }));
  const BlockToken = Blocks[0]?.BlockToken;
  const get = (SnapshotId: string, BlockIndex: number) =>
    ebs.send(new GetSnapshotBlockCommand({ SnapshotId, BlockIndex, BlockToken }));
  await rejectsWith(get(first, 1), 'ValidationException', 'INVALID_BLOCK_TOKEN');
  await rejectsWith(get(second, 0), 'ValidationException', 'INVALID_BLOCK_TOKEN');
  await lab.control.setDelays({ snapshotBlocksPerSecond: 0.001 });
  await get(first, 0);
  await rejectsWith(get(first, 0), 'RequestThrottledException', 'RESOURCE_LEVEL_THROTTLE');
  await lab.control.setDelays({ snapshotBlocksPerSecond: 0, accountBlocksPerSecond: 0.001 });
  await get(first, 0);
  await rejectsWith(get(first, 0), 'RequestThrottledException', 'ACCOUNT_THROTTLED');
});

test('volumes of an encrypted snapshot show noise for unwritten blocks, which are not listed', async (t) => {
  const lab = await labForTest(t);
  const disk = await addSnapshotOf(lab, {
    table: 'none',
    partitions: [{ content: 'ext4', sizeMiB: 16 }],
  });
  const ebs = clientOf(lab);
  const blocks = await read(ebs, disk.snapshotId);
  const encrypted = await write(ebs, blocks, { Encrypted: true });
  assert.deepEqual([...(await read(ebs, encrypted)).keys()], [...blocks.keys()]);
  assert.ok(!blocks.has(2047));
  const order = { AvailabilityZone: 'us-east-1a', SnapshotId: encrypted };
  const { VolumeId = '' } = await lab.ec2.send(new CreateVolumeCommand(order));
  const image = readFileSync(join(dirname(imageOf(lab, encrypted)), '..', 'volumes', `${VolumeId}.img`));
  await lab.ec2.send(new DeleteVolumeCommand({ VolumeId }));
  assert.ok(image.subarray(0, BLOCK).equals(blocks.get(0) ?? Buffer.alloc(0)));
  assert.ok(!image.subarray(2047 * BLOCK).equals(Buffer.alloc(BLOCK)));
});
