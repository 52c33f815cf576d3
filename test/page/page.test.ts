/** Opens the page in a real browser, and checks its charts, its controls, and its isolation. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { Analysis } from '../../src/costs/analysis.ts';
import { BUILT_IN } from '../../src/costs/built-in-prices.ts';
import { compareToday } from '../../src/costs/compare.ts';
import { decide } from '../../src/costs/decide.ts';
import { renderPage } from '../../src/page/render-page.ts';
import { analysisOf, snapshotsOf, volumeOf } from '../support/costs/analyses.ts';
import { csv, line, writeBill } from '../support/costs/bills.ts';
import { sampleAnalysis } from '../support/costs/sample-analysis.ts';
import { runProgram, temporaryDirectory } from '../support/lab.ts';
import { type Opener, type OpenPage, startBrowser } from '../support/page/browser.ts';
import { clippedTexts, paintedShare, paleTexts, pictureOf } from '../support/page/page-looks.ts';
import { build } from '../support/processes/built.ts';

const CHARTS = ['#regions', '#largest', '#trend', '#ages', '#options'];

let browser: Opener;
let html: string;

before(async () => {
  browser = await startBrowser();
  html = renderPage(sampleAnalysis(), BUILT_IN);
});

after(async () => browser[Symbol.asyncDispose]());

const assertQuiet = ({ requests, complaints, url }: OpenPage): void => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(requests, [url]);
};

const names = (page: Page): Promise<string[]> => page.locator('.volumes .name').allTextContents();

/** Returns a column of the list as numbers. */
const numbersOf = async (page: Page, column: string): Promise<number[]> =>
  (await page.locator(`.volumes td.${column}`).allTextContents()).map((text) => Number(text.replace(/[^\d.]/g, '')));

test('charts are drawn without complaints and without requests', async () => {
  const opened = await browser.open(html);
  for (const chart of CHARTS) assert.ok((await paintedShare(opened.page, chart)) > 0.02, `${chart} is empty`);
  assertQuiet(opened);
});

test('the headline shows the cost, the possible saving and its certainty', async () => {
  const { page } = await browser.open(html);
  const headline = await page.locator('h1').textContent();
  assert.match(
    headline ?? '',
    /^Snapshots cost \$[\d,]+ per month\. At most \$[\d,]+ \(\d+\s%\) of this can be saved\.$/,
  );
  assert.match((await page.locator('.how-sure').textContent()) ?? '', /is exact; .* is an upper bound/);
});

test('every column sorts both ways, by keyboard', async () => {
  const opened = await browser.open(html);
  const { page } = opened;
  const headings = await page.locator('.volumes thead th').count();
  for (let column = 0; column < headings; column++) {
    const heading = page.locator('.volumes thead th').nth(column);
    await heading.getByRole('button').focus();
    await page.keyboard.press('Enter');
    const first = await heading.getAttribute('aria-sort');
    const one = await names(page);
    await page.keyboard.press('Space');
    assert.deepEqual(new Set([first, await heading.getAttribute('aria-sort')]), new Set(['ascending', 'descending']));
    assert.notDeepEqual(await names(page), one);
    assert.equal(await page.locator('.volumes [aria-sort]').count(), 1);
  }
  assertQuiet(opened);
});

test('a column of numbers is sorted as numbers', async () => {
  const { page } = await browser.open(html);
  await page.getByRole('button', { name: 'Cost per month', exact: true }).click();
  const costs = await numbersOf(page, 'cost');
  assert.equal(costs.length, 25);
  assert.deepEqual(
    costs,
    costs.toSorted((a, b) => b - a),
  );
});

test('the list is filtered by text, region and choice, and shows the number of matches', async () => {
  const opened = await browser.open(html);
  const { page } = opened;
  const status = page.locator('#volumes-status');
  assert.equal(await status.textContent(), '1–25 of 60 volumes');
  await page.getByLabel('Search').fill('jenkins PROD');
  const found = await names(page);
  assert.ok(found.length > 0 && found.length < 25);
  assert.match((await status.textContent()) ?? '', new RegExp(`^${found.length} volumes? \\(60 in total\\)$`));
  await page.getByLabel('Search').fill('');
  await page.getByRole('combobox', { name: 'Region' }).selectOption('eu-west-1');
  assert.deepEqual(new Set(await page.locator('.volumes td.region').allTextContents()), new Set(['eu-west-1']));
  await page.getByRole('combobox', { name: 'Region' }).selectOption('');
  await page.getByRole('combobox', { name: 'Best choice' }).selectOption('Keep');
  assert.deepEqual(new Set(await page.locator('.volumes td.choice').allTextContents()), new Set(['Keep']));
  await page.getByLabel('Search').fill('there is no such volume');
  assert.equal(await status.textContent(), 'No volumes match.');
  assertQuiet(opened);
});

test('a volume is expanded by keyboard, and shows its choices and snapshots', async () => {
  const opened = await browser.open(html);
  const { page } = opened;
  const toggle = page.locator('.toggle').first();
  await toggle.focus();
  await page.keyboard.press('Enter');
  assert.equal(await toggle.getAttribute('aria-expanded'), 'true');
  assert.equal(await page.locator('.details .best').count(), 1);
  const wanted = Number(await page.locator('.volumes td.snapshots').first().textContent());
  assert.equal(await page.getByRole('region', { name: 'Snapshots', exact: true }).locator('tbody tr').count(), wanted);
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('.details').count(), 0);
  assertQuiet(opened);
});

test('the compression ratio is shown for all archives, and for volumes that have archives', async () => {
  const opened = await browser.open(renderPage(sampleAnalysis({ volumes: 1 }), BUILT_IN));
  const { page } = opened;
  assert.match(
    (await page.locator('.sources').textContent()) ?? '',
    /compress 2:1 \(measured on 57 archives in s3:\/\/acme-backups\/ebs\/\)\. For 5 volumes, the ratio of their own archives is used\./,
  );
  await page.locator('.toggle').first().click();
  const detail = (await page.locator('.detail').textContent()) ?? '';
  assert.match(detail, /Archives of this volume compress 2\.41:1 \(measured on 3 archives\)\./);
  assert.equal(await page.getByRole('spinbutton', { name: 'Compression ratio (N:1)' }).inputValue(), '2.4');
  assertQuiet(opened);
});

test('incremental archives are recommended at the measured change, with what further snapshots will cost', async () => {
  const ofMonths = (gib: number, change: number, months: number) =>
    snapshotsOf(
      [gib, ...Array.from({ length: months - 1 }, () => gib * change)],
      Array.from({ length: months }, () => gib),
      '2026-11-20',
    );
  const known = volumeOf({ name: 'known', snapshots: ofMonths(100, 0.05, 30) });
  const lone = volumeOf({ id: 'vol-00000001', name: 'lone', sizeGiB: 80, snapshots: ofMonths(80, 0, 1) });
  const analysis = decide(analysisOf([known, lone]), BUILT_IN, { today: '2026-11-25' });
  const opened = await browser.open(renderPage(analysis, BUILT_IN));
  const { page } = opened;
  const row = page.getByRole('row').filter({ hasText: 'known' }).first();
  assert.match((await row.textContent()) ?? '', /S3 Deep Archive, incremental, all but the latest/);
  for (const toggle of await page.locator('.toggle').all()) await toggle.click();
  const [ofKnown = '', ofLone = ''] = await page.locator('.detail').allTextContents();
  assert.match(
    ofKnown,
    /archives are incremental: 5% of the data changes between snapshots \(measured on 29 snapshots\)/,
  );
  assert.match(ofKnown, /measured on 29 snapshots\), 30 days apart on average\./);
  assert.match(
    ofKnown,
    /for 12 months \(12 snapshots, one every 30 days\), they will cost per month: \$7\.75 in EBS, \$0\.59 as full/,
  );
  assert.match(ofKnown, /snap-to-s3 migrate --incremental writes incremental archives: 3 bases and /);
  assert.match(
    ofLone,
    /5% of the data changes between snapshots \(assumed, not measured\): there are no two snapshots/,
  );
  assert.match(ofLone, /\(365 snapshots, daily, an assumption\)/);
  assert.match(
    (await page.locator('.sources').textContent()) ?? '',
    /1 volume has no two snapshots to compare: 5 % is assumed\./,
  );
  // The calculator begins with the measured change.
  assert.equal(await page.getByRole('spinbutton', { name: 'Change between snapshots, %' }).inputValue(), '5');
  assert.equal(await page.getByRole('spinbutton', { name: 'Days between snapshots' }).inputValue(), '30');
  assert.match(
    (await page.locator('#calculator-conclusion').textContent()) ?? '',
    /S3 Deep Archive, incremental is cheapest/,
  );
  assertQuiet(opened);
});

test('the measure of the trend is selected by keyboard', async () => {
  const { page } = await browser.open(html);
  const cost = await pictureOf(page, '#trend');
  await page.getByRole('radio', { name: 'Cost' }).focus();
  await page.keyboard.press('ArrowRight');
  assert.ok(await page.getByRole('radio', { name: 'GiB' }).isChecked());
  assert.notEqual(await pictureOf(page, '#trend'), cost);
});

/** Returns the costs in the calculator's table, by option. */
async function optionsOf(page: Page): Promise<Map<string, number>> {
  const rows = await page.getByRole('region', { name: 'Options' }).locator('tbody tr').allInnerTexts();
  return new Map(
    rows.map((row) => row.split('\t')).map(([name = '', cost = '']) => [name, Number(cost.replace(/[$,]/g, ''))]),
  );
}

test('the calculator computes what compare prints, and its sliders work by keyboard', async () => {
  const opened = await browser.open(html);
  const { page } = opened;
  await page.getByRole('combobox', { name: 'Prices in' }).selectOption('sa-east-1');
  for (const [name, value] of [
    ['Number of snapshots', 12],
    ['Size of the volume, GiB', 500],
    ['Change between snapshots, %', 20],
    ['Days between snapshots', 40],
    ['Compression ratio (N:1)', 2],
  ] as const)
    await page.getByRole('spinbutton', { name }).fill(String(value));
  const { tables } = compareToday(
    { region: 'sa-east-1', snapshots: 12, sizeGiB: 500, changes: [0.2], days: 40, compressions: [2] },
    BUILT_IN,
  );
  const row = tables[0]?.rows[0];
  const wanted = [row?.snapshots, ...(row?.costs ?? []).map(({ monthly }) => monthly)].map((cost) =>
    Number(cost?.toFixed(2)),
  );
  const costs = await optionsOf(page);
  assert.deepEqual([...costs.values()], wanted);
  const text = (await page.locator('#calculator-conclusion').textContent()) ?? '';
  const [, named = ''] = /\. (.+) is cheapest: /.exec(text) ?? [];
  assert.equal(named, 'S3 Deep Archive, incremental');
  assert.equal(costs.get(named), Math.min(...costs.values()));

  const slider = page.getByRole('slider', { name: 'Change between snapshots, %' });
  const [before, conclusion] = [
    await pictureOf(page, '#options'),
    await page.locator('#calculator-conclusion').textContent(),
  ];
  await slider.focus();
  await page.keyboard.press('Home');
  assert.equal(await page.getByRole('spinbutton', { name: 'Change between snapshots, %' }).inputValue(), '0');
  assert.equal((await optionsOf(page)).get('EBS snapshots'), 34);
  assert.notEqual(await pictureOf(page, '#options'), before);
  assert.notEqual(await page.locator('#calculator-conclusion').textContent(), conclusion);
  assertQuiet(opened);
});

test('each slider and each custom price changes the result', async () => {
  const opened = await browser.open(html);
  const { page } = opened;
  for (const slider of await page.getByRole('slider').all()) {
    const before = await optionsOf(page);
    await slider.focus();
    await page.keyboard.press('End');
    assert.notDeepEqual(await optionsOf(page), before, (await slider.getAttribute('id')) ?? '');
    await page.keyboard.press('PageDown');
  }
  await page.getByText('Use other prices').click();
  await page.getByRole('spinbutton', { name: 'EBS snapshots' }).fill('0');
  assert.equal((await optionsOf(page)).get('EBS snapshots'), 0);
  assertQuiet(opened);
});

test('the page is readable on a screen of 400 pixels', async () => {
  const opened = await browser.open(html, { viewport: { width: 400, height: 800 } });
  const { page } = opened;
  const saving = page.getByRole('region', { name: 'Cost by region' }).getByText('Saving per month');
  const { x = 400, width = 0 } = (await saving.boundingBox()) ?? {};
  assert.ok(x + width <= 400, 'the saving of a region can be seen without scrolling');
  await page.locator('.toggle').first().click();
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 400);
  assert.deepEqual(await clippedTexts(page), []);
  await page.getByLabel('Sort by').selectOption('Snapshots');
  const counts = await numbersOf(page, 'snapshots');
  assert.deepEqual(
    counts,
    counts.toSorted((a, b) => b - a),
  );
  assertQuiet(opened);
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`texts stand out from their background: ${colorScheme}`, async () => {
    const { page } = await browser.open(html, { colorScheme });
    await page.locator('.toggle').first().click();
    for (const details of await page.locator('summary').all()) await details.click();
    assert.deepEqual(await paleTexts(page), []);
    assert.deepEqual(await clippedTexts(page), []);
  });
}

const HOSTILE = [
  '</script><script>alert(1)</script>',
  '"><img src=x onerror=alert(2)>',
  "'><svg onload=alert(3)>",
  '<!--<script>',
  '\u2028alert(4)\u2029',
  '{{constructor.constructor("alert(5)")()}}',
  '$\u007balert(6)}',
  'javascript:alert(7)',
  '\u202egnp.exe\u0000\u001b[31m',
  '=cmd|x',
  `long-${'x'.repeat(300)}`,
];

test('hostile names are only text', async () => {
  const all = [...HOSTILE, HOSTILE.join('')];
  const analysis = sampleAnalysis({ volumes: 2 * all.length, snapshots: 3, hostile: all });
  const opened = await browser.open(renderPage(analysis, BUILT_IN), { viewport: { width: 400, height: 800 } });
  const { page } = opened;
  const shown = new Set(await names(page));
  assert.deepEqual(
    all.filter((name) => !shown.has(name)),
    [],
  );
  for (const toggle of await page.locator('.toggle').all()) await toggle.click();
  await page.locator('#filter-region').selectOption({ index: 1 });
  await page.getByLabel('Search').fill('alert(1)');
  const strange = 'img, svg, iframe, object, embed, a:not(.skip), [onerror], [onload], [style*="url"]';
  assert.equal(await page.locator(strange).count(), 0);
  assert.equal(await page.locator('script').count(), 2);
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 400);
  assert.deepEqual(await clippedTexts(page), []);
  assertQuiet(opened);
});

test('the content security policy blocks injected script and requests', async () => {
  const arrived: string[] = [];
  await using server = createServer(({ url }, response) => {
    arrived.push(url ?? '');
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const hole = `<main><script>document.title = "taken"</script><img src="${origin}/image" alt=""><link rel="stylesheet" href="${origin}/style">`;
  const { page, complaints } = await browser.open(html.replace('<main>', hole));
  assert.notEqual(await page.title(), 'taken');
  assert.equal(await page.evaluate(`fetch('${origin}/data').then(() => 'sent', () => 'refused')`), 'refused');
  await assert.rejects(page.evaluate('void (document.body.innerHTML = "<p>markup</p>")'), /TrustedHTML/);
  assert.ok(complaints.length >= 4, complaints.join('\n'));
  assert.deepEqual(arrived, []);
});

test('thousands of volumes with 20,000 snapshots are shown in pages', async () => {
  const analysis = sampleAnalysis({ volumes: 3000, snapshots: 18 });
  const snapshots = analysis.regions.reduce((total, { snapshotCount }) => total + snapshotCount, 0);
  assert.ok(snapshots > 19_000, `${snapshots}`);
  const opened = await browser.open(renderPage(analysis, BUILT_IN));
  const { page } = opened;
  assert.match((await page.locator('#volumes-status').textContent()) ?? '', /^1–25 of [23],\d{3} volumes$/);
  assert.equal(await page.locator('.volumes tbody tr').count(), 25);
  const first = await names(page);
  await page.getByRole('button', { name: 'Next', exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  assert.match((await page.locator('#volumes-status').textContent()) ?? '', /^51–75 of /);
  assert.notDeepEqual(await names(page), first);
  await page.getByRole('button', { name: 'Last', exact: true }).click();
  assert.ok((await page.locator('.volumes tbody tr').count()) <= 25);
  await page.getByLabel('Search').fill('legacy');
  assert.match(
    (await page.locator('#volumes-status').textContent()) ?? '',
    /^1–25 of \d{3} volumes \([23],\d{3} in total\)$/,
  );
  assertQuiet(opened);
});

test('a volume with thousands of snapshots shows a hundred at a time', async () => {
  const analysis = sampleAnalysis({ volumes: 1, snapshots: 40_000, seed: 3 });
  const opened = await browser.open(renderPage(analysis, BUILT_IN));
  const { page } = opened;
  await page.getByRole('button', { name: 'Snapshots', exact: true }).click();
  await page.locator('.toggle').first().click();
  const rows = page.getByRole('region', { name: 'Snapshots', exact: true }).locator('tbody tr');
  assert.equal(await rows.count(), 100);
  await page.getByRole('button', { name: /^Show 100 more/ }).click();
  assert.equal(await rows.count(), 200);
  assertQuiet(opened);
});

test('the printed page has all rows, no controls and light colors, whatever the screen shows', async () => {
  const opened = await browser.open(html, { colorScheme: 'dark' });
  const { page } = opened;
  const onScreen = await pictureOf(page, '#regions');
  await page.emulateMedia({ media: 'print' });
  await page.evaluate('window.dispatchEvent(new Event("beforeprint"))');
  assert.equal(await page.locator('.volumes tbody tr').count(), 60);
  for (const control of ['#filters', '#volumes-pager', '#calculator-controls', '#trend-tools fieldset'])
    assert.ok(await page.locator(control).isHidden(), control);
  assert.equal(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(255, 255, 255)');
  assert.notEqual(await pictureOf(page, '#regions'), onScreen);
  assert.deepEqual(await paleTexts(page), []);
  for (const chart of CHARTS) assert.ok((await paintedShare(page, chart)) > 0.02, `${chart} is empty`);
  const paper = await page.pdf({ format: 'A4' });
  assert.ok(paper.length > 50_000);
  await page.evaluate('window.dispatchEvent(new Event("afterprint"))');
  await page.emulateMedia({ media: 'screen' });
  assert.equal(await page.locator('.volumes tbody tr').count(), 25);
  assertQuiet(opened);
});

test('all controls can be reached by keyboard, and their focus is visible', async () => {
  const { page } = await browser.open(html);
  const reached = new Set<string>();
  for (let presses = 0; presses < 200; presses++) {
    await page.keyboard.press('Tab');
    const at = (await page.evaluate(`(() => {
      const at = document.activeElement;
      const { outlineStyle } = getComputedStyle(at);
      const isSeen = outlineStyle !== 'none' || at.type === 'radio';
      return [at.id || at.className || at.tagName, isSeen];
    })()`)) as [string, boolean];
    if (at[0] === 'BODY') break;
    assert.ok(at[1], `${at[0]} does not show that it has the focus`);
    reached.add(at[0]);
  }
  for (const control of [
    'skip',
    'filter-text',
    'filter-region',
    'sort',
    'toggle',
    'calculator-region',
    'calculator-change',
  ])
    assert.ok(reached.has(control), `${control} is not reached`);
});

test('an empty bill, a bill in two currencies and an analysis without a report are shown', async () => {
  const sample = sampleAnalysis({ volumes: 8 });
  const [first, ...others] = sample.regions;
  assert.ok(first);
  const cases: [Analysis, RegExp][] = [
    [{ ...sample, regions: [], trend: [], warnings: [] }, /No snapshots were found/],
    [{ ...sample, regions: [{ ...first, currency: 'CNY' }, ...others] }, /CN¥/],
    [
      {
        ...sample,
        trend: [],
        basis: { kind: 'live', latestDay: '2026-11-01', calls: { requests: 12, dollars: 0.01 } },
      },
      /12 requests, \$0.01/,
    ],
  ];
  for (const [analysis, wanted] of cases) {
    const opened = await browser.open(renderPage(analysis, BUILT_IN));
    assert.match((await opened.page.locator('body').textContent()) ?? '', wanted);
    assertQuiet(opened);
  }
});

test('the published package renders the same page', async (t) => {
  using built = build();
  const directory = temporaryDirectory(t);
  const [bill, file] = ['bill.csv', 'page.html'].map((name) => join(directory, name)) as [string, string];
  const snapshots = Array.from({ length: 60 }, (_, at) => line(`snap-0${at.toString(16).padStart(16, '0')}`, at + 1));
  const months = ['2026-08', '2026-09'].map((month) => ({ month, others: 0, snapshots }));
  writeBill(bill, csv('legacy', months, 'daily'));
  const argv = [process.execPath, built.program, 'analyze', bill, '--offline', '--html', file];
  const done = await runProgram(argv, { env: process.env as Record<string, string> });
  assert.equal(done.code, 0, done.stderr);
  const opened = await browser.open(readFileSync(file, 'utf8'));
  for (const chart of ['#regions', '#largest', '#trend', '#options'])
    assert.ok((await paintedShare(opened.page, chart)) > 0.02, `${chart} is empty`);
  assert.equal(await opened.page.locator('#volumes-status').textContent(), '1 volume');
  assertQuiet(opened);
});
