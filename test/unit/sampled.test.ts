/** A sample is never empty, contains the named cases, and is reproducible. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FULL, named, oneIn, seededRandom } from '../support/sampled.ts';

test('a sample of nothing is refused', { skip: FULL }, () => {
  assert.deepEqual(oneIn(2, ['a', 'b', 'c']), ['b']);
  assert.throws(() => oneIn(8, ['a', 'b', 'c']), /one in 8 of 3 cases is none/);
  assert.throws(() => named([], { a: 1 }), /no case was named/);
  assert.throws(() => named(['b'], { a: 1 }), /the cases are a/);
  assert.deepEqual(named(['a'], { a: 1, b: 2 }), [['a', 1]]);
});

test('random choices are reproducible from their seed', () => {
  process.env['SNAP_TO_S3_SEED'] = '7';
  const draw = () => {
    const random = seededRandom();
    return Array.from({ length: 100 }, random);
  };
  const numbers = draw();
  delete process.env['SNAP_TO_S3_SEED'];
  assert.ok(numbers.every((number) => number >= 0 && number < 1));
  assert.ok(new Set(numbers).size > 90);
  process.env['SNAP_TO_S3_SEED'] = '7';
  assert.deepEqual(draw(), numbers);
  delete process.env['SNAP_TO_S3_SEED'];
});
