/** Ranges that cannot be read: the error has the reason, and a bug is not mistaken for a broken connection. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObjectReader } from '../../../src/cloud/ports.ts';
import { SnapError } from '../../../src/errors.ts';
import { downloadBytes } from '../../../src/transfer/download.ts';

const failing = (error: Error): ObjectReader => ({ key: 'object', read: () => Promise.reject(error) });

async function failureOf(error: Error): Promise<unknown> {
  const { signal } = new AbortController();
  const chunks = downloadBytes(failing(error), 10, { bucket: 'backups', streams: 1, signal });
  return chunks.next().then(
    () => assert.fail('nothing failed'),
    (failure: unknown) => failure,
  );
}

test('a connection that breaks repeatedly is the cause of the failure', async () => {
  const broken = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
  const failure = await failureOf(broken);
  assert.ok(failure instanceof SnapError && failure.code === 'DOWNLOAD_FAILED');
  assert.equal(failure.cause, broken);
});

test('a bug of this program is thrown unchanged and at once', async () => {
  const mistake = new TypeError('x is not a function');
  assert.equal(await failureOf(mistake), mistake);
});
