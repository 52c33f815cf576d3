/** Lineages of snapshots in the lab: what ListChangedBlocks reports for volumes that change, and for copies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EBSClient, ListChangedBlocksCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import { CopySnapshotCommand, DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { credentialsOf, labForTest, type TestLab } from '../support/lab.ts';
import { type LineageSnapshot, makeLineage } from '../support/lineages/lineage.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { imageOf } from '../support/tamper.ts';

const clientOf = (lab: TestLab, env = lab.env) =>
  new EBSClient({
    region: 'us-east-1',
    endpoint: lab.lab.endpoints.ebs,
    credentials: credentialsOf(env),
    maxAttempts: 1,
  });

const unrelated = { name: 'ValidationException', Reason: 'UNRELATED_SNAPSHOTS' };
const expired = { name: 'ValidationException', Reason: 'INVALID_PAGE_TOKEN' };

/** Lists a change as `index` with `+` (new), `-` (removed) or `~` (different). */
async function changesIn(lab: TestLab, first: string, second: string): Promise<string[]> {
  const input = { FirstSnapshotId: first, SecondSnapshotId: second };
  const { ChangedBlocks = [] } = await clientOf(lab).send(new ListChangedBlocksCommand(input));
  return ChangedBlocks.map(({ BlockIndex, FirstBlockToken, SecondBlockToken }) =>
    [BlockIndex, FirstBlockToken ? (SecondBlockToken ? '~' : '-') : '+'].join(''),
  );
}

async function writtenIn(lab: TestLab, SnapshotId: string): Promise<(number | undefined)[]> {
  const { Blocks = [] } = await clientOf(lab).send(new ListSnapshotBlocksCommand({ SnapshotId }));
  return Blocks.map(({ BlockIndex }) => BlockIndex);
}

async function copyOf(lab: TestLab, { snapshotId }: LineageSnapshot, more: object = {}): Promise<string> {
  const input = { SourceRegion: 'us-east-1', SourceSnapshotId: snapshotId, ...more };
  return (await lab.ec2.send(new CopySnapshotCommand(input))).SnapshotId ?? '';
}

async function describe(lab: TestLab, id: string) {
  const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }));
  return Snapshots[0];
}

test('a volume of 1 TiB is written, trimmed and grown', async (t) => {
  const lab = await labForTest(t);
  const last = 2048 * 2048 - 1;
  const lineage = await makeLineage(lab, [
    { growToGiB: 1024, write: [0, 1, 2, 3, 700], writeZeros: [9] },
    { write: [1, 9], trim: [3], writeZeros: [2, 10] },
    { growToGiB: 2048, write: [3, last], trim: [700, 10] },
    {},
  ]);
  const [first, second, third, fourth] = lineage.map(({ snapshotId }) => snapshotId);
  assert.ok(first && second && third && fourth);
  for (const { snapshotId, image, written } of lineage) {
    await assertSameBytes(imageOf(lab, snapshotId), image);
    assert.deepEqual(await writtenIn(lab, snapshotId), written);
  }
  assert.deepEqual(lineage[1]?.written, [0, 1, 2, 9, 10, 700]);
  assert.deepEqual(await changesIn(lab, first, second), ['1~', '2~', '3-', '9~', '10+']);
  assert.deepEqual(await changesIn(lab, second, third), ['3+', '10-', '700-', `${last}+`]);
  assert.deepEqual(await changesIn(lab, first, third), ['1~', '2~', '3~', '9~', '700-', `${last}+`]);
  assert.deepEqual(await changesIn(lab, third, second), ['3-', '10+', '700+', `${last}-`]);
  assert.deepEqual(await changesIn(lab, third, fourth), []);
  const described = await describe(lab, third);
  assert.deepEqual(
    [described?.VolumeSize, described?.VolumeId, described?.StartTime?.toISOString()],
    [2048, lineage[0]?.volumeId, '2026-01-03T00:00:00.000Z'],
  );
});

test('a copy has the blocks of its source, and is related to nothing', async (t) => {
  const lab = await labForTest(t);
  const [one, two] = await makeLineage(lab, [{ write: [1, 5], writeZeros: [7] }, { write: [1] }]);
  assert.ok(one && two);
  const TagSpecifications = [{ ResourceType: 'snapshot', Tags: [{ Key: 'a', Value: 'b' }] }];
  const copies = [await copyOf(lab, one, { Description: 'copy', TagSpecifications }), await copyOf(lab, one)];
  const [copy = '', other = ''] = copies;
  await assertSameBytes(imageOf(lab, copy), one.image);
  assert.deepEqual(await writtenIn(lab, copy), one.written);
  for (const stranger of [one.snapshotId, two.snapshotId, other]) {
    await assert.rejects(changesIn(lab, stranger, copy), unrelated);
    await assert.rejects(changesIn(lab, copy, stranger), unrelated);
  }
  assert.deepEqual(await changesIn(lab, copy, copy), []);
  const described = await describe(lab, copy);
  assert.deepEqual(
    [described?.VolumeId, described?.Description, described?.Encrypted, described?.Tags],
    ['vol-ffffffff', 'copy', false, [{ Key: 'a', Value: 'b' }]],
  );
});

test('a copy can be encrypted, and copies of encrypted snapshots are', async (t) => {
  const lab = await labForTest(t);
  const [plain] = await makeLineage(lab, [{ write: [1] }]);
  const [secret] = await makeLineage(lab, [{ write: [2] }], { encrypted: true });
  assert.ok(plain && secret);
  const KmsKeyId = 'arn:aws:kms:us-east-1:123456789012:key/11111111-0000-4000-8000-000000000000';
  const encrypted = await copyOf(lab, plain, { Encrypted: true, KmsKeyId });
  assert.deepEqual(await writtenIn(lab, encrypted), [1]);
  assert.deepEqual((await describe(lab, encrypted))?.KmsKeyId, KmsKeyId);
  assert.match((await describe(lab, await copyOf(lab, secret)))?.KmsKeyId ?? '', /^arn:aws:kms:/);
  await assert.rejects(copyOf(lab, plain, { KmsKeyId }), { name: 'InvalidParameterDependency' });
});

test('only usable snapshots of the given region can be copied', async (t) => {
  const lab = await labForTest(t);
  const [usable, archived] = await makeLineage(lab, [{ write: [1] }, { fixture: { storageTier: 'archive' } }]);
  assert.ok(usable && archived);
  await assert.rejects(copyOf(lab, usable, { SourceRegion: 'eu-west-1' }), { name: 'InvalidSnapshot.NotFound' });
  await assert.rejects(copyOf(lab, archived), { name: 'IncorrectState' });
  await lab.control.setDelays({ snapshotPending: 60_000 });
  const pending = await copyOf(lab, usable);
  assert.equal((await describe(lab, pending))?.State, 'pending');
  await assert.rejects(writtenIn(lab, pending), { name: 'ValidationException', Reason: 'INVALID_SNAPSHOT_ID' });
});

test('a page token is valid for its own listing, and can expire early', async (t) => {
  const lab = await labForTest(t, { pageSize: 1 });
  const [empty, full, later] = await makeLineage(lab, [{}, { write: [1, 2, 3] }, { write: [3] }]);
  assert.ok(empty && full && later);
  const ebs = clientOf(lab);
  const list = (FirstSnapshotId: string, NextToken?: string) =>
    ebs.send(
      new ListChangedBlocksCommand({
        FirstSnapshotId,
        SecondSnapshotId: full.snapshotId,
        ...(NextToken === undefined ? {} : { NextToken }),
      }),
    );
  const { NextToken = '' } = await list(empty.snapshotId);
  await assert.rejects(list(later.snapshotId, NextToken), expired);
  await assert.rejects(ebs.send(new ListSnapshotBlocksCommand({ SnapshotId: full.snapshotId, NextToken })), expired);
  assert.equal((await list(empty.snapshotId, NextToken)).ChangedBlocks?.[0]?.BlockIndex, 2);
  const action = { kind: 'behaviour', name: 'expired-page' } as const;
  await lab.control.script({ service: 'ebs', operation: 'ListChangedBlocks', action });
  await assert.rejects(list(empty.snapshotId, NextToken), expired);
});

test('a caller needs permission for both snapshots', async (t) => {
  const lab = await labForTest(t);
  const [one, two] = await makeLineage(lab, [{ write: [1] }, { write: [2] }]);
  assert.ok(one && two);
  const Resource = `arn:aws:ec2:us-east-1::snapshot/${two.snapshotId}`;
  const policy = { Statement: { Effect: 'Allow' as const, Action: 'ebs:ListChangedBlocks', Resource } };
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('half', policy);
  const ebs = clientOf(lab, { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
  const ask = (FirstSnapshotId: string) =>
    ebs.send(new ListChangedBlocksCommand({ FirstSnapshotId, SecondSnapshotId: two.snapshotId }));
  await assert.rejects(ask(one.snapshotId), { name: 'AccessDeniedException' });
  await ask(two.snapshotId);
});
