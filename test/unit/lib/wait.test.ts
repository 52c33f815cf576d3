/** Waits have an end, and report the states that they have seen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SnapError } from '../../../src/errors.ts';
import { waitFor } from '../../../src/lib/wait.ts';

test('a timeout lists the states seen', async () => {
  let looks = 0;
  const look = async () => ({ verdict: 'again' as const, value: 0, seen: looks++ < 2 ? 'creating' : 'not found' });
  const options = {
    what: 'vol-1',
    within: 1500,
    firstPause: 20,
    longestPause: 20,
    signal: new AbortController().signal,
  };
  await assert.rejects(waitFor(look, options), (error: SnapError) => {
    assert.equal(error.code, 'WAIT_TIMEOUT');
    return /creating ×2, not found ×\d+/.test(error.message);
  });
});

test('waiting can be canceled', async () => {
  const controller = new AbortController();
  const look = async () => {
    controller.abort(new Error('enough'));
    return { verdict: 'again' as const, value: 0, seen: 'x' };
  };
  await assert.rejects(waitFor(look, { what: 'x', within: 60_000, signal: controller.signal }), /enough/);
});
