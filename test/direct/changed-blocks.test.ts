/** The changed blocks of two snapshots, as the adapter of the EBS direct APIs lists them from the lab. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { EBSClient } from '@aws-sdk/client-ebs';
import { awsSnapshotBlocks } from '../../src/cloud/aws/ebs/snapshot-blocks.ts';
import { BLOCK_BYTES, type ChangedBlock } from '../../src/cloud/blocks.ts';
import { credentialsOf, labForTest, type TestLab } from '../support/lab.ts';

const blocksOf = (lab: TestLab) =>
  awsSnapshotBlocks(
    new EBSClient({
      region: 'us-east-1',
      endpoint: lab.lab.endpoints.ebs,
      credentials: credentialsOf(lab.env),
      maxAttempts: 1,
    }),
  );

const [SAME, BEFORE, AFTER] = [randomBytes(BLOCK_BYTES), randomBytes(BLOCK_BYTES), randomBytes(BLOCK_BYTES)];

/** Adds a snapshot that has only these blocks. */
async function snapshotOf(lab: TestLab, blocks: Record<number, Buffer>, volumeId = 'vol-0a'): Promise<string> {
  const imagePath = join(lab.directory, `${randomBytes(4).toString('hex')}.img`);
  await using image = await open(imagePath, 'wx');
  await image.truncate(2 ** 30);
  for (const [index, bytes] of Object.entries(blocks)) {
    await image.write(bytes, 0, BLOCK_BYTES, Number(index) * BLOCK_BYTES);
  }
  return (await lab.control.addSnapshot({ imagePath, volumeId })).snapshotId;
}

/** Lists all changes. `onBlock` is called after each of them. */
async function changesIn(lab: TestLab, first: string, second: string, onBlock = async () => {}) {
  const found: ChangedBlock[] = [];
  for await (const block of blocksOf(lab).changed(first, second, { signal: AbortSignal.timeout(60_000) })) {
    found.push(block);
    await onBlock();
  }
  return found;
}

const written = (index: number): ChangedBlock => ({ index, isWritten: true });
const removed = (index: number): ChangedBlock => ({ index, isWritten: false });

test('new, different and removed blocks are listed, equal ones are not, over several and empty pages', async (t) => {
  const lab = await labForTest(t, { pageSize: 2 });
  const first = await snapshotOf(lab, { 0: SAME, 1: BEFORE, 3: BEFORE, 2047: BEFORE });
  const second = await snapshotOf(lab, { 0: SAME, 1: AFTER, 5: SAME, 6: SAME, 2047: AFTER });
  const action = { kind: 'behaviour', name: 'empty-page' } as const;
  await lab.control.script({ service: 'ebs', operation: 'ListChangedBlocks', skip: 1, action });
  const expected = [written(1), removed(3), written(5), written(6), written(2047)];
  assert.deepEqual(await changesIn(lab, first, second), expected);
  assert.deepEqual(await changesIn(lab, second, second), []);
});

test('a listing continues after the last block when its page token has expired', async (t) => {
  const lab = await labForTest(t, { pageSize: 2 });
  const first = await snapshotOf(lab, {});
  const second = await snapshotOf(lab, { 1: SAME, 2: SAME, 3: SAME, 4: SAME, 5: SAME });
  const expired = { kind: 'behaviour', name: 'expired-page' } as const;
  await lab.control.script({ service: 'ebs', operation: 'ListChangedBlocks', skip: 1, times: 2, action: expired });
  assert.deepEqual(await changesIn(lab, first, second), [1, 2, 3, 4, 5].map(written));
});

test('snapshots that cannot be compared have an error code of their own', async (t) => {
  const lab = await labForTest(t);
  const first = await snapshotOf(lab, { 0: SAME });
  const unusable = { code: 'SNAPSHOT_UNUSABLE', message: /cannot compare/ };
  const stranger = await snapshotOf(lab, { 0: SAME }, 'vol-0b');
  await assert.rejects(changesIn(lab, first, stranger), unusable);
  await assert.rejects(changesIn(lab, 'snap-00000000000000000', first), unusable);
  await assert.rejects(changesIn(lab, first, 'snap-00000000000000000'), unusable);
  const { snapshotId } = await lab.control.addSnapshot({ sizeGiB: 1, volumeId: 'vol-0a', storageTier: 'archive' });
  await assert.rejects(changesIn(lab, snapshotId, first), unusable);
  await lab.control.script({
    service: 'ebs',
    operation: 'ListChangedBlocks',
    action: { kind: 'error', code: 'AccessDeniedException', status: 403 },
  });
  await assert.rejects(changesIn(lab, first, first), { code: 'ACCESS_DENIED' });
});
