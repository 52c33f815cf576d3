/** Of several failures, the first one is reported. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SnapError } from '../../../src/errors.ts';
import { rootFailure } from '../../../src/lib/disposal.ts';

test('the first failure is found, however many clean-ups failed after it', () => {
  const cleanups = [new SnapError('CLEANUP_FAILED', 'one'), new SnapError('CLEANUP_FAILED', 'two')];
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 }), (count) => {
      const failure = new Error('cause');
      let thrown: unknown = failure;
      for (const cleanup of cleanups.slice(0, count)) thrown = new SuppressedError(cleanup, thrown);
      const found = rootFailure(thrown);
      assert.equal(found.failure, failure);
      assert.equal(found.cleanupFailures.length, count);
    }),
  );
});
