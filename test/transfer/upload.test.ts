/** Our uploader with S3 of the lab: objects become visible only when they should, and failed uploads are aborted. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { s3Client } from '../../src/cloud/aws/clients.ts';
import { networkOf } from '../../src/cloud/aws/network.ts';
import { s3ArchiveStore } from '../../src/cloud/aws/s3/archive-store.ts';
import type { Part } from '../../src/transfer/part-reader.ts';
import { type UploadOptions, uploadParts } from '../../src/transfer/upload.ts';
import { keysIn } from '../support/archives.ts';
import { BUCKET, labForTest, type TestLab } from '../support/lab.ts';

const MiB = 2 ** 20;
const KEY = 'object';

function storeOf(lab: TestLab) {
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
  return s3ArchiveStore(clients, { bucket: BUCKET, storageClass: 'STANDARD', tagAfterUpload: false }).object({
    key: KEY,
    metadata: {},
    tags: {},
  });
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
