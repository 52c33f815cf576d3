/** `compare` prints the tables of version 0 for 2017 byte for byte, and the same for current prices. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Comparison } from '../../src/costs/compare.ts';
import {
  breakEvenAt,
  breakEvenForMany,
  type CompareInput,
  compareAt,
  formatPercent,
} from '../../src/costs/compare-model.ts';
import { near } from '../support/costs/analyses.ts';
import { runCli, temporaryDirectory } from '../support/lab.ts';

const env = { PATH: process.env['PATH'] ?? '' };

const PLAIN = `
| Change between snapshots | S3 Std  | S3 IA | Glacier |
| ------------------------ | ------- | ----- | ------- |
| 0%                       | 550%    | 300%  | 96%     |
| 1%                       | 500%    | 270%  | 86%     |
| 2%                       | 450%    | 250%  | 79%     |
| 3%                       | 420%    | 230%  | 72%     |
| 4%                       | 380%    | 210%  | 67%     |
| 5%                       | 360%    | 190%  | 62%     |
| 10%                      | 260%    | 140%  | 46%     |
| 15%                      | 210%    | 110%  | 36%     |
| 20%                      | 170%    | 94%   | 30%     |
| 30%                      | 130%    | 70%   | 22%     |
| 40%                      | 102%    | 56%   | 18%     |
| 50%                      | 85%     | 46%   | 15%     |
| 75%                      | 60%     | 32%   | 10%     |
| 100%                     | 46%     | 25%   | 8.0%    |
`;

const PACKED = `
| Change between snapshots | S3 Std 2:1 | S3 IA 2:1 | Glacier 2:1 |
| ------------------------ | ---------- | --------- | ----------- |
| 0%                       | 280%       | 150%      | 48%         |
| 1%                       | 250%       | 140%      | 43%         |
| 2%                       | 230%       | 120%      | 39%         |
| 3%                       | 210%       | 110%      | 36%         |
| 4%                       | 190%       | 104%      | 33%         |
| 5%                       | 180%       | 97%       | 31%         |
| 10%                      | 130%       | 71%       | 23%         |
| 15%                      | 104%       | 57%       | 18%         |
| 20%                      | 86%        | 47%       | 15%         |
| 30%                      | 64%        | 35%       | 11%         |
| 40%                      | 51%        | 28%       | 8.9%        |
| 50%                      | 42%        | 23%       | 7.4%        |
| 75%                      | 30%        | 16%       | 5.2%        |
| 100%                     | 23%        | 12.5%     | 4.0%        |
`;

const compare = async (argv: readonly string[] = [], code = 0) => {
  const done = await runCli(env, ['compare', ...argv]);
  assert.equal(done.code, code, done.stderr);
  return done;
};

test('without flags: both tables of version 0 with their break-even points, and current prices', async () => {
  const { stdout } = await compare();
  assert.ok(stdout.includes(PLAIN), stdout);
  assert.ok(stdout.includes(PACKED), stdout);
  assert.match(stdout, /for many snapshots: S3 Std 46%, S3 IA 25%, Glacier 8\.0%\./);
  assert.match(stdout, /for 12 snapshots: S3 Std 41%, S3 IA 18%, Glacier always\./);
  const today = stdout.slice(stdout.indexOf('With prices of us-east-1'));
  assert.match(today, /Deep Archive +\| EBS archive +\| Deep Archive incr\./);
  assert.match(today, /^\| 10% +\| 10\.50 +\| 260% +\| 140% +\| 46% +\| 41% +\| 11% +\| 140% +\| 2\.0% +\|$/m);
});

test('--json has the same numbers, with amounts', async () => {
  const { stdout } = await compare(['--json', '--change', '10', '--ratio', '2', '--snapshots', '30', '--size', '500']);
  const { comparisons } = JSON.parse(stdout) as { comparisons: Comparison[] };
  const [in2017, today] = comparisons;
  const [table] = today?.tables ?? [];
  assert.equal(in2017?.tables.length, 1);
  near(table?.rows[0]?.snapshots, 500 * (1 + 2.9) * 0.05);
  const deep = table?.rows[0]?.costs.find(({ id }) => id === 'DEEP_ARCHIVE');
  near(deep?.monthly, (30 * 500 * 0.00099) / 2);
});

test('another region, and custom rates', async (t: TestContext) => {
  const german = await compare(['--region', 'eu-central-1', '--change', '50']);
  assert.doesNotMatch(german.stdout, /2017/);
  assert.match(german.stdout, /prices of eu-central-1:/);
  assert.match(german.stdout, /Note: prices of eu-central-1: those of the archive tier.*estimated/);
  const unknown = await compare(['--region', 'xx-nowhere-1', '--change', '50']);
  assert.match(unknown.stdout, /Note: prices of xx-nowhere-1 are not known; those of us-east-1 are used\./);
  const file = join(temporaryDirectory(t), 'prices.json');
  writeFileSync(file, JSON.stringify({ note: 'our contract', regions: { '*': { snapshot: { gbMonth: 0.1 } } } }));
  const own = await compare(['--prices', file, '--change', '0']);
  assert.match(own.stdout, /With prices of us-east-1: our contract\./);
  assert.match(own.stdout, /^\| 0% +\| 10\.00 +\| 280% /m);
});

test('invalid flags and files are refused', async (t: TestContext) => {
  for (const argv of [
    ['--snapshots', '0'],
    ['--change', '101'],
    ['--ratio', 'x'],
    ['--region', 'Oregon'],
  ]) {
    assert.match((await compare(argv, 2)).stderr, /must be/);
  }
  const file = join(temporaryDirectory(t), 'prices.json');
  writeFileSync(file, '{"regions":{"us-east-1":{"snapshots":{}}}}');
  assert.match((await compare(['--prices', file], 2)).stderr, /unknown member regions\.us-east-1\.snapshots/);
});

const option = fc.record({
  id: fc.constant('x'),
  name: fc.constant('x'),
  gbMonth: fc.double({ min: 0.0001, max: 0.1, noNaN: true }),
  form: fc.constant('full' as const),
  isCompressed: fc.boolean(),
});

const input: fc.Arbitrary<CompareInput> = fc.record({
  snapshots: fc.integer({ min: 2, max: 400 }),
  sizeGiB: fc.integer({ min: 1, max: 65_536 }),
  compression: fc.double({ min: 1, max: 20, noNaN: true }),
  snapshotGbMonth: fc.double({ min: 0.01, max: 0.1, noNaN: true }),
  days: fc.double({ min: 0.1, max: 400, noNaN: true }),
  baseEvery: fc.option(fc.integer({ min: 1, max: 50 })),
  options: fc.tuple(option),
});

test('at the break-even point both cost the same; it grows with the number of snapshots', () => {
  fc.assert(
    fc.property(input, (given) => {
      const [only] = given.options;
      assert.ok(only);
      const change = breakEvenAt(only, given);
      const at = (fraction: number) => compareAt(fraction, given).costs[0]?.ofSnapshots ?? 0;
      if (typeof change === 'number') near(at(change), 1, 1e-6);
      if (change === 'always') assert.ok(at(0) <= 1 + 1e-9);
      if (change === 'never') assert.ok(at(1) >= 1 - 1e-9);
      const many = breakEvenForMany(only, given);
      if (typeof change === 'number' && typeof many === 'number') assert.ok(change <= many + 1e-9);
    }),
  );
});

test('incremental archives: new bases after a year and at the length of a chain, and where they become cheaper', async () => {
  const incremental = async (argv: readonly string[]) => {
    const { stdout } = await compare(['--json', '--region', 'us-east-1', '--ratio', '2', '--size', '100', ...argv]);
    const { comparisons } = JSON.parse(stdout) as { comparisons: Comparison[] };
    const [table] = comparisons[0]?.tables ?? [];
    const cost = table?.rows[0]?.costs.find(({ id }) => id === 'DEEP_ARCHIVE-incremental');
    return { cost, points: table?.breakEven.find(({ id }) => id === 'DEEP_ARCHIVE-incremental') };
  };
  const price = 0.00099 / 2;
  const daily = await incremental(['--snapshots', '365', '--change', '5']);
  // A chain has 42 points: the last one makes the changes exceed twice the base.
  near(daily.cost?.monthly, 100 * (9 + 356 * 0.05) * price);
  assert.equal(daily.points?.forThese, 'always');
  // If nothing changes, a base a year costs more than one snapshot in the long run.
  near(typeof daily.points?.forMany === 'number' ? daily.points.forMany : undefined, price / 0.05 / 366, 1e-6);
  const monthly = await incremental(['--snapshots', '27', '--interval', '30', '--change', '1']);
  near(monthly.cost?.monthly, 100 * (3 + 24 * 0.01) * price);
  const short = await incremental(['--snapshots', '12', '--base-every', '4', '--change', '1']);
  near(short.cost?.monthly, 100 * (3 + 9 * 0.01) * price);
});

test('above the break-even point of incremental archives, they are always cheaper', () => {
  fc.assert(
    fc.property(input, fc.double({ min: 0, max: 1, noNaN: true }), (given, part) => {
      const [only] = given.options;
      assert.ok(only);
      const incremental = { ...only, form: 'incremental' as const };
      const own = { ...given, options: [incremental] };
      const change = breakEvenAt(incremental, own);
      const at = (fraction: number) => compareAt(fraction, own).costs[0]?.ofSnapshots ?? 0;
      if (change === 'never') assert.ok(at(1) >= 1 - 1e-9);
      if (change === 'always') assert.ok(at(0) <= 1 + 1e-9);
      // Whole steps are tried.
      if (typeof change === 'number')
        assert.ok(at(Math.ceil((change + (1 - change) * part) * 1000) / 1000) <= 1 + 1e-9);
    }),
    { numRuns: 30 },
  );
});

test('percentages have two digits, or three if that is more informative', () => {
  const texts = [5.52, 1.0222, 1.0417, 0.08, 0.125, 1, 0.994, 0.0004, 0, 0.9].map(formatPercent);
  assert.deepEqual(texts, ['550%', '102%', '104%', '8.0%', '12.5%', '100%', '99%', '0.040%', '0%', '90%']);
});
