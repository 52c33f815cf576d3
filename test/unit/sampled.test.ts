/** A sample is never empty, contains the named cases, and is reproducible. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FULL, fullOr, named, oneIn, randomOf, seededIntegers, seededRandom } from '../support/sampled.ts';

/** In the full form, nothing is sampled. */
if (!FULL) test('a sample of nothing is refused', refusesEmptySamples);

function refusesEmptySamples() {
  assert.deepEqual(oneIn(2, ['a', 'b', 'c']), ['b']);
  assert.throws(() => oneIn(8, ['a', 'b', 'c']), /one in 8 of 3 cases is none/);
  assert.throws(() => named([], { a: 1 }), /no case was named/);
  assert.throws(() => named(['b'], { a: 1 }), /the cases are a/);
  assert.deepEqual(named(['a'], { a: 1, b: 2 }), [['a', 1]]);
  assert.throws(() => randomOf(3, []), /no case was selected/);
  assert.equal(new Set(randomOf(2, ['a', 'b', 'c'])).size, 2);
  assert.equal(fullOr('size', 10, 1), 1);
}

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

test('whole numbers are chosen from the first up to, but not including, the second', () => {
  const integer = seededIntegers();
  const numbers = Array.from({ length: 1000 }, () => integer(2, 5));
  assert.deepEqual([...new Set(numbers)].sort(), [2, 3, 4]);
});

const TESTS = join(import.meta.dirname, '..');

const testFiles = (): [string, string][] =>
  readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path): [string, string] => [path, readFileSync(join(TESTS, path), 'utf8')]);

const THIS = 'unit/sampled.test.ts';

test('all random choices have a seed that is printed', () => {
  const unseeded = testFiles().filter(([, text]) => /\bMath\.random\b|\brandomInt\b/.test(text));
  assert.deepEqual(
    unseeded.map(([path]) => path).filter((path) => path !== THIS),
    ['support/sampled.ts'],
    'use seededRandom or seededIntegers',
  );
});

/** They test the samples themselves, or run more tests at the same time. */
const KNOW_THE_FORM = ['reliability/faults.test.ts', 'support/sampled.ts', THIS];

test('what a sampled run leaves out is printed', () => {
  const deciding = testFiles().filter(([, text]) => /\bFULL\b.* from '.*sampled\.ts'|'SNAP_TO_S3_FULL'/.test(text));
  assert.deepEqual(deciding.map(([path]) => path).sort(), KNOW_THE_FORM, 'use named, oneIn, randomOf or fullOr');
});
