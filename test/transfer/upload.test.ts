/** Our uploader with S3 of the lab: objects become visible only when they should, and failed uploads are aborted. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { s3Client } from '../../src/cloud/aws/clients.ts';
import { networkOf } from '../../src/cloud/aws/network.ts';
import { s3ArchiveStore } from '../../src/cloud/aws/s3/archive-store.ts';
import type { UploadChoices } from '../../src/cloud/ports.ts';
import type { Part } from '../../src/transfer/part-reader.ts';
import { type UploadOptions, uploadParts } from '../../src/transfer/upload.ts';
import { keysIn } from '../support/archives.ts';
import { BUCKET, labForTest, type TestLab } from '../support/lab.ts';

const MiB = 2 ** 20;
const KEY = 'object';

function storeOf(lab: TestLab, choices: UploadChoices = {}) {
  const settings = {
    region: 'us-east-1',
    s3Endpoint: lab.lab.endpoints.s3,
    forcePathStyle: true,
    callTimeout: 30,
    network: networkOf({}),
    onRetry: () => {},
  };
  Object.assign(process.env, lab.lab.environment());
  const clients = { control: s3Client(settings, 'control'), transfer: s3Client(settings, 'transfer') };
  return s3ArchiveStore(clients, { bucket: BUCKET, storageClass: 'STANDARD', tagAfterUpload: false }).object(
    { key: KEY, metadata: {}, tags: {} },
    choices,
  );
}

async function* partsOf(buffers: Buffer[], released: number[] = []): AsyncGenerator<Part> {
  for (const [index, bytes] of buffers.entries()) {
    yield { number: index + 1, bytes, release: () => void released.push(index + 1) };
  }
}

const options = (more: Partial<UploadOptions<void>> = {}): UploadOptions<void> => ({
  streams: 3,
  signal: new AbortController().signal,
  verdict: async () => {},
  onStored: () => {},
  onCreated: async () => ({ [Symbol.dispose]: () => {} }),
  resume: null,
  leave: () => false,
  ...more,
});

test('the object contains the sent bytes, and every buffer is released', async (t) => {
  const lab = await labForTest(t);
  const buffers = Array.from({ length: 7 }, (_, index) => randomBytes(index === 6 ? 3 : 5 * MiB));
  const released: number[] = [];
  const { object, reused } = await uploadParts(partsOf(buffers, released), storeOf(lab), options());
  const { Body } = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: KEY }));
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  assert.equal(hash((await Body?.transformToByteArray()) ?? new Uint8Array()), hash(Buffer.concat(buffers)));
  assert.equal(object.bytes, 30 * MiB + 3);
  assert.deepEqual(reused, { parts: 0, bytes: 0 });
  assert.deepEqual(released.sort(), [1, 2, 3, 4, 5, 6, 7]);
});

test('nothing is visible before the verdict, or after a negative one', async (t) => {
  const lab = await labForTest(t);
  const verdict = async (bytes: number) => {
    assert.equal(bytes, 10);
    assert.deepEqual(await keysIn(lab), []);
    throw new Error('the producer failed');
  };
  await assert.rejects(
    uploadParts(partsOf([randomBytes(10)]), storeOf(lab), options({ verdict })),
    /the producer failed/,
  );
  assert.deepEqual(await keysIn(lab), []);
});

test('a broken stream aborts the upload', async (t) => {
  const lab = await labForTest(t);
  async function* broken(): AsyncGenerator<Part> {
    yield* partsOf([randomBytes(5 * MiB)]);
    throw new Error('read error');
  }
  await assert.rejects(uploadParts(broken(), storeOf(lab), options()), /read error/);
});

test('a failed part cancels the others and aborts the upload', async (t) => {
  const lab = await labForTest(t);
  const refusal = { kind: 'error', code: 'AccessDenied' } as const;
  await lab.control.script({ service: 's3', operation: 'UploadPart', match: { partNumber: '2' }, action: refusal });
  const buffers = Array.from({ length: 20 }, () => randomBytes(5 * MiB));
  await assert.rejects(uploadParts(partsOf(buffers), storeOf(lab), options()), /could not upload part 2/);
});

test('a canceled upload is aborted before the promise settles', async (t) => {
  const lab = await labForTest(t);
  const controller = new AbortController();
  const parts = partsOf(Array.from({ length: 5 }, () => randomBytes(5 * MiB)));
  const onStored = () => controller.abort(new Error('enough'));
  await assert.rejects(uploadParts(parts, storeOf(lab), options({ signal: controller.signal, onStored })), /enough/);
  assert.deepEqual(await lab.control.leftovers(), []);
});

test('an upload that cannot be aborted is reported', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['multipart-upload'] });
  const refusal = { kind: 'error', code: 'AccessDenied' } as const;
  await lab.control.script({ service: 's3', operation: 'AbortMultipartUpload', action: refusal });
  const verdict = async () => {
    throw new Error('bad');
  };
  await assert.rejects(
    uploadParts(partsOf([randomBytes(10)]), storeOf(lab), options({ verdict })),
    /bad; its upload could not be aborted either/,
  );
});

/** Uploads an object that must be new, with the same bytes each time. */
const uploadNew = (lab: TestLab, bytes: Buffer) =>
  uploadParts(partsOf([bytes]), storeOf(lab, { mustBeNew: true }), options());

const operationsOf = async (lab: TestLab) => (await lab.control.calls()).map(({ operation }) => operation);

test('an object that must be new does not replace another one; the upload is aborted', async (t) => {
  const lab = await labForTest(t);
  const [ours, other] = [randomBytes(10), randomBytes(10)];
  const { object } = await uploadNew(lab, ours);
  await assert.rejects(uploadNew(lab, other), { code: 'ARCHIVE_EXISTS', message: /another run has written .*object/ });
  const { ETag } = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: KEY }));
  assert.equal(ETag, object.etag);
  const replaced = await uploadParts(partsOf([other]), storeOf(lab), options());
  assert.notEqual(replaced.object.etag, ETag);
});

test('an object of the same parts counts as ours, and nothing is left of the second upload', async (t) => {
  const lab = await labForTest(t);
  const bytes = randomBytes(10);
  const first = await uploadNew(lab, bytes);
  const second = await uploadNew(lab, bytes);
  assert.equal(second.object.etag, first.object.etag);
});

test('a completion whose response is lost succeeds, although the retry finds the object', async (t) => {
  const lab = await labForTest(t);
  await lab.control.script({ service: 's3', operation: 'CompleteMultipartUpload', action: { kind: 'lose' } });
  const { object } = await uploadNew(lab, randomBytes(10));
  assert.equal(object.bytes, 10);
  const calls = (await operationsOf(lab)).filter((name) => /Complete|Head/.test(name));
  assert.deepEqual(calls, ['CompleteMultipartUpload', 'CompleteMultipartUpload', 'HeadObject']);
});

test('if it is unknown whose the object is, the failure of that question is reported', async (t) => {
  const lab = await labForTest(t);
  const bytes = randomBytes(10);
  await uploadNew(lab, bytes);
  const refusal = { kind: 'error', code: 'AccessDenied', status: 403 } as const;
  await lab.control.script({ service: 's3', operation: 'HeadObject', action: refusal });
  await assert.rejects(uploadNew(lab, bytes), { code: 'ACCESS_DENIED' });
});

test('a conflict during the completion aborts the upload', async (t) => {
  const lab = await labForTest(t);
  const conflict = { kind: 'error', code: 'ConditionalRequestConflict', status: 409 } as const;
  await lab.control.script({ service: 's3', operation: 'CompleteMultipartUpload', action: conflict });
  await assert.rejects(uploadNew(lab, randomBytes(10)), { code: 'ARCHIVE_EXISTS' });
});
