/** Objects with Object Lock: the store sets the lock when it creates them, and reports it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { s3ArchiveStore } from '../../src/cloud/aws/s3/archive-store.ts';
import type { ObjectLock } from '../../src/cloud/object-lock.ts';
import { credentialsOf, labForTest, type TestLab } from '../support/lab.ts';

const LOCKED = 'locked';
const { signal } = new AbortController();

async function lockedStore(lab: TestLab, s3 = lab.s3) {
  await lab.s3.send(new CreateBucketCommand({ Bucket: LOCKED, ObjectLockEnabledForBucket: true }));
  const settings = { bucket: LOCKED, storageClass: 'DEEP_ARCHIVE', tagAfterUpload: false };
  return s3ArchiveStore({ control: s3, transfer: s3 }, settings);
}

/** S3 reports whole seconds at least. */
const inDays = (count: number): Date => new Date((Math.floor(Date.now() / 1000) + count * 86_400) * 1000);

const factsOf = (key: string, lock: ObjectLock | null) => ({ key, metadata: {}, tags: {}, lock });

test('large and small objects get their lock when they are created, and the store reports it', async (t) => {
  const lab = await labForTest(t);
  const store = await lockedStore(lab);
  const lock: ObjectLock = { mode: 'COMPLIANCE', until: inDays(30) };
  const parts = store.object(factsOf('large', lock));
  const uploadId = await parts.create({ signal });
  const receipt = await parts.putPart(uploadId, 1, randomBytes(10), { signal });
  await parts.complete(uploadId, [receipt], 10, { signal });
  await store.putSmall(factsOf('small', lock), Buffer.from('{}'), null, { signal });
  for (const key of ['large', 'small']) {
    const head = await store.head(key, { signal });
    assert.deepEqual([head?.lockMode, head?.lockedUntil], [lock.mode, lock.until], key);
  }
});

test('an object without a lock is reported as such', async (t) => {
  const lab = await labForTest(t);
  const store = await lockedStore(lab);
  await store.putSmall(factsOf('plain', null), Buffer.from('{}'), null, { signal });
  const head = await store.head('plain', { signal });
  assert.deepEqual([head?.lockMode, head?.lockedUntil], [null, null]);
});

test('without s3:GetObjectRetention, the lock of an object is not known', async (t) => {
  const lab = await labForTest(t);
  const policy = { Statement: { Effect: 'Allow' as const, Action: ['s3:GetObject'], Resource: '*' } };
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('reader', policy);
  const s3 = new S3Client({
    endpoint: lab.lab.endpoints.s3,
    region: 'us-east-1',
    credentials: credentialsOf({ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey }),
    forcePathStyle: true,
    maxAttempts: 1,
  });
  t.after(() => s3.destroy());
  const reader = await lockedStore(lab, s3);
  const owner = s3ArchiveStore(
    { control: lab.s3, transfer: lab.s3 },
    { bucket: LOCKED, storageClass: 'STANDARD', tagAfterUpload: false },
  );
  await owner.putSmall(factsOf('small', { mode: 'GOVERNANCE', until: inDays(1) }), Buffer.from('{}'), null, { signal });
  assert.equal((await reader.head('small', { signal }))?.lockedUntil, null);
  assert.notEqual((await owner.head('small', { signal }))?.lockedUntil, null);
});
