/** Buffers are given only to waiters that were not canceled. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from '../../../src/transfer/buffer-pool.ts';

test('a waiter that is canceled when it was just woken keeps no buffer', {
  timeout: 10_000,
}, async () => {
  const never = new AbortController().signal;
  const controller = new AbortController();
  const pool = new BufferPool(1);
  const lent = await pool.take(8, never);
  const canceled = pool.take(8, controller.signal);
  const waiting = pool.take(8, never);
  pool.release(lent);
  controller.abort(new Error('enough'));
  await assert.rejects(canceled, /enough/);
  assert.equal(await waiting, lent);
});
