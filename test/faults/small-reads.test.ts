/** Faults that meet the read of a small object below the commands of the SDK: the SDK repeats the read. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { FaultAction } from '../../lab/core/contract.ts';
import { s3Client } from '../../src/cloud/aws/clients.ts';
import { networkOf } from '../../src/cloud/aws/network.ts';
import { s3SmallObjects } from '../../src/cloud/aws/s3/small-objects.ts';
import { BUCKET, labForTest, type TestLab } from '../support/lab.ts';

/** One key has characters that are encoded in paths, as in the keys of archives. */
const [FIRST, SECOND, THIRD] = ['first', "vol-1/2026-01-01T00:00:00+00:00 snap-1 (a'b!*~) ü.json", 'third'] as const;

const textOf = (key: string): string => `content of ${key} `.repeat(20);

async function withObjects(t: TestContext): Promise<TestLab> {
  const lab = await labForTest(t);
  for (const Key of [FIRST, SECOND, THIRD])
    await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: textOf(Key), ChecksumAlgorithm: 'CRC32' }));
  return lab;
}

/** @returns a function that reads a small object, and the reasons for which the SDK has repeated calls. */
function reading(t: TestContext, { lab }: TestLab) {
  Object.assign(process.env, lab.environment());
  const retries: string[] = [];
  const onRetry = ({ because }: { because: string }) => void retries.push(because);
  const settings = { region: 'us-east-1', forcePathStyle: true, callTimeout: 1, network: networkOf({}), onRetry };
  const client = s3Client({ ...settings, s3Endpoint: lab.endpoints.s3 }, 'control');
  t.after(() => client.destroy());
  const store = s3SmallObjects(client, { bucket: BUCKET, storageClass: 'STANDARD', tagAfterUpload: false });
  const read = async (key: string) => (await store.getSmall(key, { signal: t.signal })).body.toString();
  return { read, retries };
}

async function readsOf(lab: TestLab, key: string): Promise<number> {
  const calls = await lab.control.calls();
  return calls.filter(({ operation, details }) => operation === 'GetObject' && details['key'] === key).length;
}

const ONCE: Record<string, FaultAction> = {
  'internal error': { kind: 'error', code: 'InternalError' },
  throttling: { kind: 'error', code: 'SlowDown' },
  'wrong clock': { kind: 'error', code: 'RequestTimeTooSkewed' },
  'connection reset': { kind: 'reset' },
  'no response': { kind: 'hang' },
  'lost response': { kind: 'lose' },
  'body cut short': { kind: 'cut', afterBytes: 100 },
  'body that stalls': { kind: 'stall', afterBytes: 100 },
  'flipped bit': { kind: 'flip', at: 100 },
};

test('a fault is met once, and the SDK repeats the read', async (t) => {
  const lab = await withObjects(t);
  for (const [name, action] of Object.entries(ONCE)) {
    const { read, retries } = reading(t, lab);
    assert.equal(await read(FIRST), textOf(FIRST), name);
    await lab.control.clearCalls();
    await lab.control.script({ service: 's3', operation: 'GetObject', match: { key: SECOND }, action });
    assert.equal(await read(SECOND), textOf(SECOND), name);
    assert.equal(await readsOf(lab, SECOND), 2, name);
    assert.deepEqual(retries, [], `${name}: the SDK did not meet the fault itself`);
    assert.equal(await read(THIRD), textOf(THIRD), name);
  }
});

const LASTING: Record<string, [FaultAction, string]> = {
  denied: [{ kind: 'error', code: 'AccessDenied' }, 'ACCESS_DENIED'],
  expired: [{ kind: 'error', code: 'ExpiredToken' }, 'CREDENTIALS'],
  archived: [{ kind: 'error', code: 'InvalidObjectState', status: 403 }, 'OBJECT_ARCHIVED'],
  missing: [{ kind: 'error', code: 'NoSuchKey' }, 'NOT_FOUND'],
  damaged: [{ kind: 'flip', at: 100 }, 'CLOUD_CALL'],
};

test('the SDK reports a lasting fault, and later reads succeed', async (t) => {
  const lab = await withObjects(t);
  const { read } = reading(t, lab);
  for (const [name, [action, code]] of Object.entries(LASTING)) {
    assert.equal(await read(FIRST), textOf(FIRST), name);
    await lab.control.script({ service: 's3', operation: 'GetObject', match: { key: SECOND }, every: 1, action });
    await assert.rejects(read(SECOND), { code }, name);
    await lab.control.clearFaults();
    assert.equal(await read(SECOND), textOf(SECOND), name);
  }
});

test('objects without a checksum, with one that only the SDK verifies, and without content are read', async (t) => {
  const lab = await withObjects(t);
  const { read } = reading(t, lab);
  const others = { CRC32C: 'text', SHA256: 'text', CRC32: '' } as const;
  for (const [ChecksumAlgorithm, Body] of Object.entries(others)) {
    const Key = `with ${ChecksumAlgorithm}`;
    const object = {
      Bucket: BUCKET,
      Key,
      Body,
      ContentLength: Body.length,
      ChecksumAlgorithm: ChecksumAlgorithm as keyof typeof others,
    };
    await lab.s3.send(new PutObjectCommand(object));
    assert.equal(await read(FIRST), textOf(FIRST));
    assert.equal(await read(Key), Body, Key);
  }
});
