/** Object Lock in the lab: permissions, and objects without a checksum. boto3 uses the operations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { credentialsOf, labForTest, type TestLab } from '../support/lab.ts';

const LOCKED = { Bucket: 'locked', Key: 'key' };

async function lockedBucket(lab: TestLab): Promise<void> {
  await lab.s3.send(new CreateBucketCommand({ Bucket: LOCKED.Bucket, ObjectLockEnabledForBucket: true }));
}

/** A client for a caller with these permissions. */
async function callerWith(lab: TestLab, ...Action: string[]): Promise<S3Client> {
  const policy = { Statement: { Effect: 'Allow' as const, Action, Resource: '*' } };
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('caller', policy);
  const credentials = credentialsOf({ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
  const endpoint = lab.lab.endpoints.s3;
  return new S3Client({ endpoint, region: 'us-east-1', credentials, forcePathStyle: true, maxAttempts: 1 });
}

const inDays = (count: number): Date => new Date(Date.now() + count * 86_400_000);

const putRetained = (s3: S3Client, days = 1) =>
  s3.send(
    new PutObjectCommand({
      ...LOCKED,
      Body: 'x',
      ObjectLockMode: 'GOVERNANCE',
      ObjectLockRetainUntilDate: inDays(days),
    }),
  );

const denied = { name: 'AccessDenied' };

test('locks need permissions: to set them, to see them, and to bypass governance', async (t) => {
  const lab = await labForTest(t);
  await lockedBucket(lab);
  const writer = await callerWith(lab, 's3:PutObject', 's3:GetObject', 's3:DeleteObjectVersion');
  await assert.rejects(putRetained(writer), denied);
  const { VersionId } = await putRetained(lab.s3);
  assert.equal((await writer.send(new HeadObjectCommand(LOCKED))).ObjectLockMode, undefined);
  assert.equal((await lab.s3.send(new HeadObjectCommand(LOCKED))).ObjectLockMode, 'GOVERNANCE');
  const removal = new DeleteObjectCommand({ ...LOCKED, VersionId, BypassGovernanceRetention: true });
  await assert.rejects(writer.send(removal), denied);
  const admin = await callerWith(lab, 's3:DeleteObjectVersion', 's3:BypassGovernanceRetention');
  await admin.send(removal);
});

test('objects with a retention are accepted only with a checksum', async (t) => {
  const lab = await labForTest(t);
  await lockedBucket(lab);
  const s3 = new S3Client({
    endpoint: lab.lab.endpoints.s3,
    region: 'us-east-1',
    credentials: credentialsOf(lab.env),
    forcePathStyle: true,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  const plain = new PutObjectCommand({ ...LOCKED, Body: 'x' });
  await s3.send(plain);
  await assert.rejects(putRetained(s3), { name: 'InvalidRequest' });
  const ObjectLockConfiguration = {
    ObjectLockEnabled: 'Enabled' as const,
    Rule: { DefaultRetention: { Mode: 'GOVERNANCE' as const, Years: 1 } },
  };
  await lab.s3.send(new PutObjectLockConfigurationCommand({ Bucket: LOCKED.Bucket, ObjectLockConfiguration }));
  await assert.rejects(s3.send(plain), { name: 'InvalidRequest' });
  await lab.s3.send(plain);
  const { ObjectLockRetainUntilDate: until } = await lab.s3.send(new HeadObjectCommand(LOCKED));
  assert.ok(until && until > inDays(364) && until < inDays(367), String(until));
});

test('the clock of the lab decides when a retention ends, and callers may follow it', async (t) => {
  const lab = await labForTest(t);
  await lockedBucket(lab);
  const { VersionId } = await putRetained(lab.s3, 2);
  const removal = new DeleteObjectCommand({ ...LOCKED, VersionId });
  await assert.rejects(lab.s3.send(removal), denied);
  await lab.control.setClock(inDays(3));
  await assert.rejects(putRetained(lab.s3, 2), { name: 'InvalidArgument' });
  const answer = await lab.s3.send(new HeadObjectCommand(LOCKED));
  assert.ok(answer.LastModified && answer.LastModified < inDays(1));
  await lab.s3.send(removal);
  await lab.control.setClock(null);
  // The first client has followed the clock, and would need a retry.
  await putRetained(await callerWith(lab, 's3:*'));
});
