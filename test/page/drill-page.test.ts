/** Opens the report of a drill in a real browser. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { drillPage } from '../../src/cli/render/text/drill-html.ts';
import type { DrillReport, DrillRow } from '../../src/events.ts';
import { type Opener, startBrowser } from '../support/page/browser.ts';
import { clippedTexts, paleTexts } from '../support/page/page-looks.ts';

let browser: Opener;

before(async () => {
  browser = await startBrowser();
});

after(async () => browser[Symbol.asyncDispose]());

const KEY = 'vol-393380974c7eccb9d/2026-11-22T22:31:00+00:00 snap-9424fd2db820ab67e.1.tar.lz4';

const PASSED: DrillRow = {
  snapshot: 'snap-9424fd2db820ab67e',
  volume: 'vol-393380974c7eccb9d',
  startTime: '2026-11-22T22:31:00.000Z',
  storedAt: '2026-11-23T01:02:03.456Z',
  keys: [KEY],
  outcome: 'passed',
  restoredAt: '2026-11-29T10:03:10.123Z',
  files: 77_887,
  bytes: 3_478_923_520,
  fetchedBytes: 1_700_000_000,
  restoring: 131,
  comparing: 62,
  comparedWith: ['index'],
  packs: null,
  differenceCount: 0,
  differences: [],
  reason: null,
};

const DIFFERENT: DrillRow = {
  ...PASSED,
  snapshot: 'snap-0a1b2c3d4e5f60718',
  volume: null,
  outcome: 'differs',
  comparedWith: ['index', 'archive-content'],
  differenceCount: 130,
  differences: [
    { object: KEY, kind: 'mode', path: `usr/bin/${'long-'.repeat(50)}`, detail: '0644 in the archive' },
    { object: KEY, kind: 'content', path: '', detail: 'the restored block at byte 0 differs' },
  ],
  reason: 'the restored data differs from the archive',
};

const REPORT: DrillReport = {
  format: 1,
  kind: 'drill',
  verdict: 'differs',
  tool: 'snap-to-s3 1.0.0',
  startedAt: '2026-11-29T10:00:00.000Z',
  finishedAt: '2026-11-29T10:09:12.000Z',
  user: 'root (alice by sudo)',
  host: 'backup-1',
  caller: { arn: 'arn:aws:sts::123456789012:assumed-role/backup/i-0123456789abcdef0', account: '123456789012' },
  warnings: [],
  bucket: 'backups.example.com',
  prefix: 'team/ebs/',
  filter: { volumes: [], snapshots: [], since: '2026-01-01T00:00:00.000Z', until: null },
  seed: '2026-Q4',
  sample: 3,
  population: { found: 120, incomplete: 2, incremental: 0, archived: 30 },
  archives: [PASSED, DIFFERENT],
};

/** A script for the page. It returns the number of lines of text in each of these elements. */
const linesOf = (selector: string): string => `[...document.querySelectorAll('${selector}')].map((element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return range.getClientRects().length;
})`;

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [1280, 400]) {
    test(`the report of a drill is readable, ${colorScheme}, at ${width} pixels`, async () => {
      const opened = await browser.open(drillPage(REPORT), { colorScheme, viewport: { width, height: 800 } });
      const { page } = opened;
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width);
      assert.deepEqual(await clippedTexts(page), []);
      assert.deepEqual(await paleTexts(page), []);
      assert.deepEqual(await page.evaluate(linesOf('td:nth-child(-n + 2):has(~ td)')), [1, 1, 1, 1], 'no id is broken');
      assert.deepEqual(opened.complaints, []);
      assert.deepEqual(opened.requests, [opened.url]);
      const verdicts = await page.locator('.outcome').allTextContents();
      assert.deepEqual(verdicts, ['passed', 'differs']);
      const background = await page.evaluate('getComputedStyle(document.body).backgroundColor');
      assert.equal(background === 'rgb(255, 255, 255)', colorScheme === 'light');
    });
  }
}

test('the report of a drill shows times in UTC, exact sizes, all evidence and the number of further differences', async () => {
  const { page } = await browser.open(drillPage(REPORT));
  const text = (await page.locator('tr').allInnerTexts()).join(' ').replaceAll(/\s+/g, ' ');
  for (const wanted of [
    'Started 2026-11-29 10:00:00 UTC',
    'snapshots taken on or after 2026-01-01 00:00:00 UTC',
    'Restored data 3.24 GiB (3478923520 bytes) in 77887 files',
    'Compared with the hashes of its index, and with a second download of the archive (contents of files only)',
    'content: the restored block at byte 0 differs',
    'and 128 more',
  ])
    assert.ok(text.includes(wanted), `${wanted}: ${text}`);
});
