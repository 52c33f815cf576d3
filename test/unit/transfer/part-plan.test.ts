import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GiB, MiB, TiB } from '../../../src/lib/units.ts';
import { MAX_PART_BYTES, MAX_PARTS, partSize } from '../../../src/transfer/part-plan.ts';

/** 48.8 TiB, the maximum that S3's limits on parts allow. */
const LARGEST_OBJECT = MAX_PARTS * MAX_PART_BYTES;

const capacity = (expected: number): number => {
  let sum = 0;
  for (let number = 1; number <= MAX_PARTS; number++) sum += partSize(number, expected);
  return sum;
};

test('the expected length plus a tenth fits, because incompressible data grows by less than a hundredth', () => {
  for (const expected of [0, 1, GiB, 100 * GiB, TiB, 16 * TiB, 24 * TiB, 64 * TiB]) {
    assert.ok(capacity(expected) >= Math.min(1.1 * expected, 0.99 * LARGEST_OBJECT), `${expected}`);
  }
});

test('a stream that is longer than expected still fits', () => {
  assert.ok(capacity(0) > 5 * TiB);
});

test('sizes are within the limits of S3, and never shrink', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 64 * TiB, noNaN: true }),
      fc.integer({ min: 1, max: MAX_PARTS - 1 }),
      (expected, number) => {
        const size = partSize(number, expected);
        assert.ok(Number.isInteger(size) && size >= 5 * MiB && size <= MAX_PART_BYTES);
        assert.ok(partSize(number + 1, expected) >= size);
      },
    ),
  );
});

test('an ordinary disk needs little memory', () => {
  assert.equal(partSize(1, 100 * GiB), 8 * MiB);
});
