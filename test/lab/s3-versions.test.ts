/** Versions of objects in the lab: conditions, permissions, and the state after a restart. boto3 uses the operations. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { LabControl } from '../../lab/control/client.ts';
import { startLab } from '../../lab/index.ts';
import { BUCKET, credentialsOf, labForTest, temporaryDirectory } from '../support/lab.ts';

const clientOf = (endpoint: string, env: Record<string, string>) =>
  new S3Client({
    endpoint,
    region: 'us-east-1',
    credentials: credentialsOf(env),
    forcePathStyle: true,
    maxAttempts: 1,
  });

const enable = (s3: S3Client) =>
  s3.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration: { Status: 'Enabled' } }));

const put = (s3: S3Client, Key: string, Body: string, more: object = {}) =>
  s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body, ...more }));

async function versionsIn(s3: S3Client) {
  const { Versions = [], DeleteMarkers = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket: BUCKET }));
  return [...Versions, ...DeleteMarkers].map(({ Key, VersionId, IsLatest }) => [Key, VersionId, IsLatest].join(' '));
}

test('for conditions, a delete marker counts as no object', async (t) => {
  const { s3 } = await labForTest(t);
  await enable(s3);
  await put(s3, 'key', 'one', { IfNoneMatch: '*' });
  await assert.rejects(put(s3, 'key', 'two', { IfNoneMatch: '*' }), { name: 'PreconditionFailed' });
  await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: 'key' }));
  await assert.rejects(put(s3, 'key', 'two', { IfMatch: '"0"' }), { name: 'NoSuchKey' });
  await put(s3, 'key', 'two', { IfNoneMatch: '*' });
});

test('naming a version needs permissions of its own', async (t) => {
  const lab = await labForTest(t);
  await enable(lab.s3);
  const { VersionId } = await put(lab.s3, 'key', 'one');
  const policy = {
    Statement: { Effect: 'Allow' as const, Action: ['s3:GetObject', 's3:DeleteObject'], Resource: '*' },
  };
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('plain', policy);
  const s3 = clientOf(lab.lab.endpoints.s3, { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
  const named = { Bucket: BUCKET, Key: 'key', VersionId };
  await assert.rejects(s3.send(new GetObjectCommand(named)), { name: 'AccessDenied' });
  await assert.rejects(s3.send(new DeleteObjectCommand(named)), { name: 'AccessDenied' });
  const { Errors } = await s3.send(
    new DeleteObjectsCommand({ Bucket: BUCKET, Delete: { Objects: [{ Key: 'key', VersionId }] } }),
  );
  assert.deepEqual(
    Errors?.map(({ Code }) => Code),
    ['AccessDenied'],
  );
  await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: 'key' }));
  assert.equal((await versionsIn(lab.s3)).length, 2);
});

test('versions and their order survive a restart of the lab', async (t) => {
  const directory = join(temporaryDirectory(t), 'lab');
  const before = await startLab({ directory });
  await new LabControl(before.endpoints.control).addBucket(BUCKET);
  const s3 = clientOf(before.endpoints.s3, before.environment());
  await put(s3, 'key', 'unversioned');
  await enable(s3);
  for (const body of ['one', 'two']) await put(s3, 'key', body);
  await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: 'key' }));
  const listed = await versionsIn(s3);
  assert.equal(listed.length, 4);
  await before[Symbol.asyncDispose]();
  await using after = await startLab({ directory });
  const again = clientOf(after.endpoints.s3, after.environment());
  assert.deepEqual(await versionsIn(again), listed);
  const { Body } = await again.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'key', VersionId: 'null' }));
  assert.equal(await Body?.transformToString(), 'unversioned');
});
