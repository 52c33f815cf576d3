/** What incremental archives store and cost: 1 TiB of data, compressed 2:1, in us-east-1, as in docs/costs/savings.md. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_LISTED_BLOCKS } from '../../../../src/archive/points/block-list.ts';
import { CHAIN_RULES, type ChainRules, MAX_POINT_GIB } from '../../../../src/costs/archiving/chain-rules.ts';
import type { Move } from '../../../../src/costs/archiving/moves.ts';
import { generationsIn, generationsOf, moveOfPoints, type PointSize } from '../../../../src/costs/archiving/points.ts';
import { BUILT_IN } from '../../../../src/costs/built-in-prices.ts';
import { basesAmong, compareAt } from '../../../../src/costs/compare-model.ts';
import { exactly } from '../../../../src/costs/lineage.ts';
import { pricesIn } from '../../../../src/costs/prices.ts';
import { near } from '../../../support/costs/analyses.ts';

const PRICES = pricesIn('us-east-1', BUILT_IN);
const DAY = 86_400_000;

interface Series {
  points: number;
  /** Days between two points. */
  days: number;
  /** Fraction of the data that changes between two points. */
  change: number;
}

const seriesOf = ({ points, days, change }: Series, full = 1024): PointSize[] =>
  Array.from({ length: points }, (_, at) => ({
    startedAt: new Date(Date.UTC(2026, 0, 1) + at * days * DAY).toISOString(),
    added: full * change,
    full,
  }));

function costOf(series: Series, rules: ChainRules = CHAIN_RULES): Move {
  const deep = PRICES.s3['DEEP_ARCHIVE'];
  assert.ok(deep);
  const load = { generations: generationsOf(seriesOf(series), rules), volumeGiB: 1024, rules };
  return moveOfPoints(load, deep, PRICES, { compression: 2, reading: 'direct' });
}

const MONTHLY = { points: 12, days: 30.4 };
const DAILY = { points: 365, days: 1 };

/** Stored GiB, packs, cost per month, bases, and the most that a restore thaws, as a multiple of the base. */
const figures = ({ storedGiB, monthly, chain }: Move) => [
  Math.round(storedGiB),
  chain?.packs,
  Number(monthly.toFixed(2)),
  chain?.bases,
  Number(((chain?.mostThawedGiB ?? 0) / 512).toFixed(2)),
];

test('the figures of the documentation', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/costs/savings.md'), 'utf8');
  const rows = [MONTHLY, DAILY].flatMap((series) =>
    [0.01, 0.05, 0.2].map((change) => {
      const move = costOf({ ...series, change });
      const [stored, packs, monthly, bases, thaw] = figures(move);
      const name = `${series.points} ${series.days === 1 ? 'daily' : 'monthly'}, ${change * 100} %`;
      const reading = Math.round(readingOf({ ...series, change }));
      return `| ${name} | ${[bases, whole(stored), whole(packs), `$${reading}`, `$${monthly?.toFixed(2)}`].join(' | ')} | ${thaw}× | $${whole(Math.round(inEbs({ ...series, change })))} |`;
    }),
  );
  for (const row of rows) assert.ok(page.includes(`\n${row}\n`), `docs/costs/savings.md lacks ${row}`);
});

const whole = (number: number | undefined): string => (number ?? 0).toLocaleString('en-US');

/** The cost of reading alone: everything except requests to S3 is the same. */
function readingOf(series: Series, rules: ChainRules = CHAIN_RULES): number {
  const free = <T extends object>(prices: T) => ({ ...prices, thousandPuts: 0 });
  const { DEEP_ARCHIVE: deep, STANDARD: standard } = PRICES.s3;
  assert.ok(deep && standard);
  const prices = { ...PRICES, s3: { DEEP_ARCHIVE: free(deep), STANDARD: free(standard) } };
  const load = { generations: generationsOf(seriesOf(series), rules), volumeGiB: 1024, rules };
  return moveOfPoints(load, free(deep), prices, { compression: 2, reading: 'direct' }).oneOff;
}

function inEbs({ points, change, days }: Series): number {
  const input = { snapshots: points, sizeGiB: 1024, days, baseEvery: null, compression: 2, snapshotGbMonth: 0.05 };
  return compareAt(change, { ...input, options: [] }).snapshots;
}

/**
 * The model calculation by which the layout was chosen: 1 TiB of data, 2:1, Deep Archive in us-east-1. It had packs of 256 MiB
 * stored, not of 256 MiB of data, and began a new base before the deltas would exceed a limit, not after.
 */
const packs = { ...CHAIN_RULES, packBlocks: 1024 };

test('the figures of the model calculation for monthly points', () => {
  const row = (change: number, rules: ChainRules) => {
    const [stored, objects, monthly, , thaw] = figures(costOf({ ...MONTHLY, change }, rules));
    return [stored, objects, Math.round(readingOf({ ...MONTHLY, change }, rules)), monthly, thaw];
  };
  assert.deepEqual(row(0.01, packs), [568, 2279, 7, 0.57, 1.11]);
  assert.deepEqual(row(0.05, packs), [794, 3181, 10, 0.79, 1.55]);
  // Its limit was once the base for monthly points.
  assert.deepEqual(row(0.2, { ...packs, maxDeltas: 0.9 }).slice(0, 4), [2048, 8196, 25, 2.04]);
  assert.deepEqual(
    [0.01, 0.05, 0.2].map((change) => Math.round(inEbs({ ...MONTHLY, change }))),
    [57, 79, 164],
  );
});

test('the figures of the model calculation for daily points, with a limit of twice the base, and with none', () => {
  const changes = [0.01, 0.05, 0.2];
  const limited = (change: number) => ({ ...packs, maxDeltas: 2 - change / 2 });
  // The calculation had $175 for 5 %: 40 × 5 % of the base exceeded twice the base by a rounding error.
  assert.deepEqual(
    changes.map((change) => Math.round(readingOf({ ...DAILY, change }, limited(change)))),
    [35, 169, 630],
  );
  for (const change of changes) {
    const { mostThawedGiB } = costOf({ ...DAILY, change }, limited(change)).chain ?? {};
    assert.equal(Math.round((mostThawedGiB ?? 0) / 512), 3);
  }
  const endless = { ...packs, maxDeltas: Number.POSITIVE_INFINITY };
  const rows = changes.map((change) => figures(costOf({ ...DAILY, change }, endless)));
  assert.deepEqual(
    rows.map(([stored, , , bases, thaw]) => [stored, bases, Number(thaw?.toPrecision(2))]),
    [
      [2376, 1, 4.6],
      [9830, 1, 19],
      [37786, 1, 74],
    ],
  );
  assert.deepEqual(
    changes.map((change) => Math.round(readingOf({ ...DAILY, change }, endless))),
    [29, 121, 464],
  );
  assert.deepEqual(
    changes.map((change) => Math.round(inEbs({ ...DAILY, change }))),
    [238, 983, 3779],
  );
});

const basesOf = (points: readonly PointSize[], rules: ChainRules = CHAIN_RULES) =>
  generationsOf(points, rules).flatMap(({ isBase }, at) => (isBase ? [at] : []));

test('a new base: after more than twice the base, after 12 months, and at the length of a chain', () => {
  // The point that makes the deltas exceed twice the base is still stored as changes.
  assert.deepEqual(basesOf(seriesOf({ points: 9, days: 1, change: 0.5 })), [0, 6]);
  assert.deepEqual(basesOf(seriesOf({ points: 27, days: 30, change: 0.01 })), [0, 13, 26]);
  assert.deepEqual(basesOf(seriesOf({ points: 367, days: 1, change: 0 })), [0, 366]);
  assert.deepEqual(
    basesOf(seriesOf({ points: 7, days: 1, change: 0.01 }), { ...CHAIN_RULES, baseEvery: 3 }),
    [0, 3, 6],
  );
  const undated = seriesOf({ points: 30, days: 400, change: 0.01 }).map((point) => ({ ...point, startedAt: null }));
  assert.deepEqual(basesOf(undated), [0], 'points without a time never become too old');
});

test('the comparison has as many bases as the simulation', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 400 }),
      fc.constantFrom(0.25, 1, 7, 30, 90, 366),
      fc.constantFrom(0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.7, 1),
      fc.constantFrom(null, 1, 2, 5, 50),
      (points, days, change, baseEvery) => {
        const bases = basesOf(seriesOf({ points, days, change }), { ...CHAIN_RULES, baseEvery });
        assert.equal(basesAmong({ snapshots: points, days, baseEvery }, change), bases.length);
      },
    ),
  );
});

test('the bounds contain what is stored if the full sizes are not known', () => {
  const step = fc.record({
    full: fc.integer({ min: 1, max: 100 }),
    added: fc.integer({ min: 0, max: 100 }),
    isReported: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 2, maxLength: 40 }), (steps) => {
      const points = steps.map((one) => ({ ...one, startedAt: null, added: Math.min(one.full, one.added) }));
      const stored = total(generationsOf(points).map(({ gib }) => gib));
      const links = (isKnown: boolean) =>
        points.map(({ full, added, isReported }, at) => ({
          gib: at === 0 ? full : added,
          full: isKnown || (isReported && at > 0) ? exactly(full) : { min: at === 0 ? full : added, max: 100 },
        }));
      const bounds = (isKnown: boolean) => {
        const lineage = { links: links(isKnown), foreign: 0, isChain: true };
        const { min = [], max = [] } = generationsIn(lineage, [...points.keys()], []) ?? {};
        return [min, max].map((generations) => total(generations.map(({ gib }) => gib)));
      };
      const [least = 0, most = 0] = bounds(false);
      assert.ok(least <= stored && stored <= most, `${stored} is not in ${least}..${most}`);
      assert.deepEqual(bounds(true), [stored, stored]);
    }),
  );
});

test('no incremental archives of a single snapshot, of copies, and of more than a point can store', () => {
  const lineage = (size: number, isChain = true) => ({
    ...{ foreign: 0, isChain },
    links: [size, 1].map((gib) => ({ gib, full: exactly(size) })),
  });
  const at = (indexes: number[], of = lineage(4096)) => generationsIn(of, indexes, []) !== null;
  assert.deepEqual(
    [at([0, 1]), at([0]), at([0, 1], lineage(10, false)), at([0, 1], lineage(4097))],
    [true, false, false, false],
  );
  assert.equal(MAX_POINT_GIB * 2048, MAX_LISTED_BLOCKS, 'the limit of the block list');
});

test('a snapshot that stays between two points adds its changes to the second', () => {
  const links = [100, 10, 20].map((gib) => ({ gib, full: exactly(100) }));
  const { min = [], max = [] } = generationsIn({ links, foreign: 0, isChain: true }, [0, 2], []) ?? {};
  assert.deepEqual(
    [min, max].map((generations) => generations.map(({ gib }) => gib)),
    [
      [100, 20],
      [100, 30],
    ],
  );
});

test('reading from volumes costs the hours of all blocks, and direct reads only those of the changes', () => {
  const series = { ...MONTHLY, change: 0.01 };
  const deep = PRICES.s3['DEEP_ARCHIVE'];
  assert.ok(deep);
  const load = { generations: generationsOf(seriesOf(series)), volumeGiB: 2048 };
  const once = (reading: 'direct' | { volumeType: string }) =>
    moveOfPoints(load, deep, PRICES, { compression: 2, reading }).oneOff;
  const hours = (1024 * 1024) / 3.5 / 3600;
  const requests = once('direct') - readingOf(series);
  near(once({ volumeType: 'gp2' }), requests + (12 * 2048 * 0.1 * hours) / 730, 1e-6);
  // 210 pages list 1 TiB; 3 list 1 % of it.
  near(readingOf(series), (2048 * 1024 * 1.11 * 0.003 + (12 * 210 + 11 * 3) * 0.0006) / 1000, 1e-9);
});

const total = (amounts: readonly number[]) => amounts.reduce((sum, amount) => sum + amount, 0);
