/** The model of the page, without a browser. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runInThisContext } from 'node:vm';
import fc from 'fast-check';
import type { Choice, Decision, VolumeAnalysis } from '../../../src/costs/analysis.ts';
import { BUILT_IN } from '../../../src/costs/built-in-prices.ts';
import { bundleScript, readAssets } from '../../../src/page/assets.ts';
import { html, scriptJson } from '../../../src/page/html.ts';
import { pageData } from '../../../src/page/model/page-data.ts';
import { adviceOf, totalsOf } from '../../../src/page/model/summary.ts';
import { selectVolumes } from '../../../src/page/model/volume-rows.ts';
import { day, money, percent } from '../../../src/page/model/words.ts';
import { sampleAnalysis } from '../../support/costs/sample-analysis.ts';

const choice = (given: Partial<Choice>): Choice => ({
  ...{ what: 's3', storageClass: 'GLACIER', form: 'full', storedGiB: 1, monthly: 1, oneOff: 2, minimumDays: 90 },
  ...{ restore: { cost: 0, takes: '' }, saving: 5, savingIs: 'exact', breakEven: '2026-12-01' },
  ...given,
});

const keep = choice({ what: 'keep', storageClass: null, form: null, saving: 0, oneOff: 0, breakEven: null });

const decision = (best: Partial<Choice>): Decision => ({ choices: [keep, choice(best)], best: 1, reason: '' });

const snapshot = (given: Partial<VolumeAnalysis['snapshots'][number]> = {}) => ({
  tier: 'standard' as const,
  images: [],
  decision: null,
  ...given,
});

test('any value in the JSON of the page is preserved, and cannot end its element', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const { source } = scriptJson(value);
      assert.doesNotMatch(source, /[<>&\u2028\u2029]/);
      const rounded = JSON.stringify(value, (_, part) =>
        typeof part === 'number' ? Number(part.toPrecision(8)) : part,
      );
      assert.deepEqual(JSON.parse(source), JSON.parse(rounded));
    }),
  );
});

test('any text in a template is escaped', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(html`${text}`.source, /[<>"']|&(?!(amp|lt|gt|quot|#39);)/);
    }),
  );
  assert.equal(html`<p title="${'"'}">${[html`<b>${'<'}</b>`]}${null}</p>`.source, '<p title="&quot;"><b>&lt;</b></p>');
});

test('snapshots of a volume are evaluated together; those used by images and archived ones stay', () => {
  const snapshots = [snapshot(), snapshot({ images: ['ami-1'] }), snapshot({ tier: 'archive' }), snapshot()];
  const advice = (best: Partial<Choice>) => adviceOf({ decision: decision(best), snapshots });
  assert.equal(advice({ scope: 'all' }).moved, 2);
  assert.equal(advice({ scope: 'all-but-latest' }).moved, 1);
  assert.deepEqual(
    { ...advice({ saving: 7, savingIs: 'lower-bound' }), choice: null, reason: '' },
    {
      ...{ choice: null, moved: 2, saving: 7, savingIs: 'lower-bound', oneOff: 2, breakEven: '2026-12-01', reason: '' },
    },
  );
});

test('without a choice for all snapshots, single ones count, and the sum is as certain as its least certain part', () => {
  const one = (best: Partial<Choice>) => snapshot({ decision: decision(best) });
  const advice = (...all: Partial<Choice>[]) => adviceOf({ decision: null, snapshots: all.map(one) });
  assert.equal(advice({}, { savingIs: 'upper-bound' }).savingIs, 'upper-bound');
  assert.equal(advice({ savingIs: 'lower-bound' }, { savingIs: 'upper-bound' }).savingIs, 'mixed');
  assert.equal(advice({}, {}).saving, 10);
  assert.equal(advice({ breakEven: '2027-01-01' }, { breakEven: '2026-12-01' }).breakEven, '2027-01-01');
  assert.equal(advice({ breakEven: null }, {}).breakEven, null);
  assert.equal(adviceOf({ decision: null, snapshots: [snapshot()] }).choice, null);
});

test('totals are separate for each currency, and their parts add up', () => {
  const { regions } = sampleAnalysis();
  const [first, ...others] = regions;
  assert.ok(first);
  const [most, least, ...none] = totalsOf([{ ...first, currency: 'CNY' }, ...others]);
  assert.deepEqual(none, []);
  assert.ok(most && least && most.monthly >= least.monthly);
  for (const { saving, savingParts } of [most, least])
    assert.ok(Math.abs(saving - Object.values(savingParts).reduce((a, b) => a + b)) < 1e-6);
});

test('rows without a value come last, whichever way they are sorted', () => {
  const { volumes } = pageData(sampleAnalysis(), BUILT_IN);
  for (const isDescending of [true, false]) {
    const sorted = selectVolumes(volumes, { text: '', region: '', choice: '', sort: { key: 'change', isDescending } });
    const changes = sorted.map(({ averageChange }) => averageChange);
    const known = changes.filter((change) => change !== null);
    assert.ok(known.length < changes.length);
    assert.deepEqual(changes.slice(0, known.length), known);
    assert.deepEqual(
      known,
      known.toSorted((a, b) => (isDescending ? b - a : a - b)),
    );
  }
});

test('of many choices, the page shows keeping, the first few and the best one', () => {
  const analysis = sampleAnalysis({ volumes: 1 });
  const [region] = analysis.regions;
  const [volume] = region?.volumes ?? [];
  assert.ok(region && volume);
  const choices = [keep, ...Array.from({ length: 20 }, (_, index) => choice({ saving: 20 - index }))];
  const changed = { ...volume, decision: { choices, best: 15, reason: '' } };
  const [shown] = pageData({ ...analysis, regions: [{ ...region, volumes: [changed] }] }, BUILT_IN).volumes;
  assert.equal(shown?.choices?.shown.length, 10);
  assert.equal(shown?.choices?.others, 11);
  assert.equal(shown?.choices?.shown[shown.choices.best], choices[15]);
});

test('numbers and dates in words', () => {
  assert.equal(money(1234.5, 'USD'), '$1,234.50');
  assert.equal(money(0.00123, 'USD'), '$0.0012');
  assert.equal(money(5, '<b>'), '5.00');
  assert.equal(percent(0.25), '0.3\u00a0%');
  assert.equal(percent(0), '0\u00a0%');
  assert.equal(day('2026-11-05T23:59:59Z'), '5 Nov 2026');
  assert.equal(day('2026-11'), 'Nov 2026');
  assert.equal(day('2026-13'), '2026-13');
});

/** Bundles modules in a directory of their own into one script. Its entry point is `a.ts`. */
function bundled(modules: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-page-'));
  try {
    for (const [name, text] of Object.entries(modules)) writeFileSync(join(directory, name), text);
    return bundleScript(join(directory, 'a.ts')).script;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('modules become one script', () => {
  const script = bundled({
    'a.ts': "import { value as other } from './b.ts';\nconst value = 1;\nglobalThis.values = [value, other];\n",
    'b.ts': 'export const value: number = 2;\n',
  });
  runInThisContext(script);
  assert.deepEqual((globalThis as { values?: unknown }).values, [1, 2]);
});

test('no text in a script ends its element', () => {
  const script = bundled({
    'a.ts': "globalThis.text = '</script><script>';\n//! </script>\nglobalThis.tagged = String.raw`</script>`;\n",
  });
  assert.doesNotMatch(script, /<\/script/i);
  runInThisContext(script);
  assert.deepEqual(
    [(globalThis as { text?: unknown }).text, (globalThis as { tagged?: unknown }).tagged],
    ['</script><script>', '</script>'],
  );
});

test('the script of the page does not end its element', () => {
  const { script, inputs } = readAssets();
  assert.doesNotMatch(script, /<\/script|<!--/i);
  assert.ok(inputs.some((path) => path.includes('node_modules/chart.js/')));
});

test('a missing module is refused', () => {
  assert.throws(() => bundled({ 'a.ts': "import { x } from './nowhere.ts';\nx();\n" }), /nowhere/);
});
