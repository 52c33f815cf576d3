/** The page in a real browser: what it draws, how it answers, and that it keeps to itself. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { renderPage } from '../../src/page/render-page.ts';
import { type Opener, type OpenPage, startBrowser } from '../support/browser.ts';
import { clippedTexts, paintedShare, paleTexts, pictureOf } from '../support/page-looks.ts';
import { sampleAnalysis } from '../support/sample-analysis.ts';

const CHARTS = ['#regions', '#largest', '#trend', '#ages'];

let browser: Opener;
let html: string;

before(async () => {
  browser = await startBrowser();
  html = renderPage(sampleAnalysis());
});

after(async () => browser[Symbol.asyncDispose]());

const assertQuiet = ({ requests, complaints, url }: OpenPage): void => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(requests, [url]);
};

const names = (page: Page): Promise<string[]> => page.locator('.volumes .name').allTextContents();

/** A column of the list as numbers. */
const numbersOf = async (page: Page, column: string): Promise<number[]> =>
  (await page.locator(`.volumes td.${column}`).allTextContents()).map((text) => Number(text.replace(/[^\d.]/g, '')));

test('charts are drawn, nothing is complained of, and no request leaves the file', async () => {
  const opened = await browser.open(html);
  for (const chart of CHARTS) assert.ok((await paintedShare(opened.page, chart)) > 0.02, `${chart} is empty`);
  assertQuiet(opened);
});

test('the headline says what it costs, what can be saved, and how sure that is', async () => {
  const { page } = await browser.open(html);
  const headline = await page.locator('h1').textContent();
  assert.match(
    headline ?? '',
    /^Snapshots cost \$[\d,]+ a month\. At most \$[\d,]+ \(\d+\s%\) of that can be saved\.$/,
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
  await page.getByRole('button', { name: 'Cost a month', exact: true }).click();
  const costs = await numbersOf(page, 'cost');
  assert.equal(costs.length, 25);
  assert.deepEqual(
    costs,
    costs.toSorted((a, b) => b - a),
  );
});

test('the list is filtered by text, region and choice, and says how much is left', async () => {
  const opened = await browser.open(html);
  const { page } = opened;
  const status = page.locator('#volumes-status');
  assert.equal(await status.textContent(), '1–25 of 60 volumes');
  await page.getByLabel('Find').fill('jenkins PROD');
  const found = await names(page);
  assert.ok(found.length > 0 && found.length < 25);
  assert.match((await status.textContent()) ?? '', new RegExp(`^${found.length} volumes?, of 60 in all$`));
  await page.getByLabel('Find').fill('');
  await page.getByRole('combobox', { name: 'Region' }).selectOption('eu-west-1');
  assert.deepEqual(new Set(await page.locator('.volumes td.region').allTextContents()), new Set(['eu-west-1']));
  await page.getByRole('combobox', { name: 'Region' }).selectOption('');
  await page.getByRole('combobox', { name: 'Best choice' }).selectOption('Keep');
  assert.deepEqual(new Set(await page.locator('.volumes td.choice').allTextContents()), new Set(['Keep']));
  await page.getByLabel('Find').fill('there is no such volume');
  assert.equal(await status.textContent(), 'No volume matches.');
  assertQuiet(opened);
});

test('a volume opens by keyboard, with its choices and its snapshots', async () => {
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

test('what the trend shows is chosen by keyboard', async () => {
  const { page } = await browser.open(html);
  const cost = await pictureOf(page, '#trend');
  await page.getByRole('radio', { name: 'Cost' }).focus();
  await page.keyboard.press('ArrowRight');
  assert.ok(await page.getByRole('radio', { name: 'GiB' }).isChecked());
  assert.notEqual(await pictureOf(page, '#trend'), cost);
});

test('it can be read on a screen of 400 pixels', async () => {
  const opened = await browser.open(html, { viewport: { width: 400, height: 800 } });
  const { page } = opened;
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
