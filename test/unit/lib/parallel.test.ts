/** Concurrent work: the first failure is thrown after all work has ended, with the other clean-up failures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rootFailure } from '../../../src/lib/disposal.ts';
import { inParallel } from '../../../src/lib/parallel.ts';

const signal = new AbortController().signal;

test('all items are processed in order, with limited concurrency', async () => {
  const begun: number[] = [];
  let [now, most] = [0, 0];
  await inParallel([1, 2, 3, 4, 5, 6, 7], 3, signal, async (item) => {
    begun.push(item);
    most = Math.max(most, ++now);
    await new Promise(setImmediate);
    now--;
  });
  assert.deepEqual(begun, [1, 2, 3, 4, 5, 6, 7]);
  assert.equal(most, 3);
});

test('the first failure stops the others, and their clean-up failures are attached', async () => {
  const ended: number[] = [];
  const failure = new Error('the third');
  const cleanup = new Error('a mount');
  const work = inParallel([1, 2, 3, 4, 5], 3, signal, async (item, stop) => {
    if (item === 3) throw failure;
    await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
    ended.push(item);
    if (item === 2) throw new SuppressedError(cleanup, stop.reason);
    stop.throwIfAborted();
  });
  const thrown = await work.catch((error) => error);
  assert.deepEqual(rootFailure(thrown), { failure, cleanupFailures: [cleanup] });
  assert.deepEqual(ended, [1, 2]);
});

test('cancellation throws the reason of the signal', async () => {
  const controller = new AbortController();
  const work = inParallel([1, 2], 1, controller.signal, async () => controller.abort(new Error('enough')));
  await assert.rejects(work, /enough/);
});
