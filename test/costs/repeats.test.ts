/** A part of a report that is given twice counts once, whatever its name. Different months and parts all count. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { Analysis } from '../../src/costs/analysis.ts';
import { type BilledMonth, csv, line, parquet, snapshotId, writeBill } from '../support/costs/bills.ts';
import { BUCKET, labForTest, runCli, temporaryDirectory } from '../support/lab.ts';

const env = { PATH: process.env['PATH'] ?? '' };

/** Each month bills the same amounts for the same snapshots. */
const month = (name: string, ...ids: number[]): BilledMonth => ({
  month: name,
  others: 3,
  snapshots: ids.map((id) => line(snapshotId(id), id * 2048)),
});

const SEPTEMBER = csv('legacy', [month('2026-09', 1, 2)], 'daily');

/** Returns the figures of the analysis, and the files that are reported as repeated. */
async function analyzed(argv: readonly string[], own: Record<string, string> = env, input: Buffer | string = '') {
  const done = await runCli(own, ['analyze', '--offline', '--json', ...argv], { input });
  assert.equal(done.code, 0, done.stderr);
  const { regions, trend, warnings, basis } = JSON.parse(done.stdout) as Analysis;
  return {
    gib: regions.map((region) => region.gib.toFixed(6)),
    trend: trend.map(({ month: name, gib, cost }) => `${name} ${gib.toFixed(4)} ${cost.toFixed(4)}`),
    rows: basis.kind === 'report' ? basis.rows.ofSnapshots : 0,
    repeated: warnings.filter(({ code }) => code === 'same-rows').map(({ text }) => text),
    overlapping: warnings.filter(({ code }) => code === 'same-days').map(({ text }) => text),
  };
}

test('the same file, as a copy, compressed, linked or piped, counts once, with a warning', async (t) => {
  const directory = temporaryDirectory(t);
  const file = (name: string, content: Buffer) => writeBill(join(directory, name), content);
  const september = file('september.csv', SEPTEMBER);
  const packed = file('packed.csv.gz', SEPTEMBER);
  const copy = file('copy.csv', SEPTEMBER);
  const link = join(directory, 'link.csv');
  symlinkSync('september.csv', link);
  execFileSync('python3', ['-m', 'zipfile', '-c', 'zipped.zip', 'september.csv'], { cwd: directory });
  const zip = join(directory, 'zipped.zip');
  const once = await analyzed([september]);
  assert.deepEqual([once.gib, once.rows, once.repeated], [['3.000000'], 60, []]);
  const twice = await analyzed([september, september]);
  assert.deepEqual(twice, { ...once, repeated: [`${september} was specified more than once; it is counted once`] });
  const all = await analyzed([september, packed, copy, link, zip, '-'], env, gzipSync(SEPTEMBER));
  const others = [packed, copy, link, zip, 'standard input'];
  const repeated = others.map(
    (name) => `${name} has the same rows about snapshots as ${september}; they are counted once`,
  );
  assert.deepEqual(all, { ...once, repeated });
  const columns = file('columns.parquet', parquet('cur2', month('2026-09', 1, 2), 'hourly'));
  assert.equal(
    (await analyzed([columns, file('same.parquet', parquet('cur2', month('2026-09', 1, 2), 'hourly'))])).gib[0],
    '3.000000',
  );
});

test('months, parts of a month and empty parts are not mistaken for copies, in any order', async (t) => {
  const directory = temporaryDirectory(t);
  const file = (name: string, ...months: BilledMonth[]) =>
    writeBill(join(directory, name), csv('legacy', months, 'daily'));
  // July and August have the same number of days, so only their dates differ.
  const [july, august] = [file('july.csv', month('2026-07', 1, 2)), file('august.csv', month('2026-08', 1, 2))];
  const others = [file('second.csv', month('2026-08', 3)), file('third.csv', month('2026-08', 4))];
  const empty = [file('empty.csv', month('2026-08')), file('also-empty.csv', month('2026-08'))];
  const parts = [july, august, ...others, ...empty];
  const expected = {
    gib: ['10.000000'],
    trend: ['2026-07 3.0000 0.1500', '2026-08 10.0000 0.5000'],
    rows: 31 * 2 + 31 * 4,
    repeated: [],
    overlapping: [],
  };
  assert.deepEqual(await analyzed(parts), expected);
  assert.deepEqual(await analyzed(parts.toReversed()), expected);
  const shown = await runCli(env, ['analyze', '--offline', ...parts]);
  assert.match(
    shown.stdout,
    /^By month:\n {2}2026-07 +3\.0 GB-months +\$0\.15 {2}2 snapshots\n {2}2026-08 +10\.0 GB-months +\$0\.50 {2}4 snapshots$/m,
  );
  const again = await analyzed([august, july, ...parts, july]);
  assert.deepEqual({ ...again, repeated: again.repeated.length }, { ...expected, repeated: 3 });
  const text = csv('legacy', [month('2026-08', 1, 2)], 'daily').toString();
  const differs = text.replace(/snap-0{16}2(?![\s\S]*snap-0{16}2)/, 'snap-0000000000000000f');
  assert.notEqual(differs, text);
  const changed = await analyzed([august, writeBill(join(directory, 'changed.csv'), Buffer.from(differs))]);
  assert.deepEqual([changed.repeated, changed.rows], [[], 124], 'one row of them differs');
});

test('two reports of one bill are counted twice, with a warning', async (t) => {
  const directory = temporaryDirectory(t);
  const file = (name: string, report: string) => writeBill(join(directory, name), Buffer.from(report));
  const text = (format: 'legacy' | 'focus-1.2', granularity: 'hourly' | 'daily', ...ids: number[]) =>
    csv(format, [month('2026-09', ...ids)], granularity).toString();
  const legacy = file('legacy.csv', text('legacy', 'hourly', 1, 2));
  const focus = file('focus.csv', text('focus-1.2', 'daily', 1, 2));
  const both = await analyzed([legacy, focus]);
  assert.deepEqual([both.gib, both.repeated, both.overlapping.length], [['6.000000'], [], 1]);
  assert.match(
    both.overlapping[0] ?? '',
    /focus\.csv bills the same snapshots for the same days as an earlier file: if/,
  );
  // Without ids, all parts of a report refer to the same region and day.
  const parts = [[1, 2], [3]].map((ids) =>
    file(`${ids}.csv`, text('legacy', 'daily', ...ids).replaceAll(/arn:aws:ec2:\S*?snap-\w+/g, '')),
  );
  const unnamed = await analyzed(parts);
  assert.deepEqual([unnamed.gib, unnamed.overlapping], [['6.000000'], []]);
});

test('a report in S3 counts once if its manifest and parts are named, too', async (t) => {
  const lab = await labForTest(t);
  const folder = 'b/daily/20260901-20261001';
  const keys = [1, 2].map((number) => `${folder}/x/daily-0000${number}.csv.gz`);
  const put = (Key: string, Body: Buffer | string) => lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
  for (const [at, Key] of keys.entries()) {
    await put(Key, gzipSync(csv('legacy', [month('2026-09', at + 1)], 'daily')));
  }
  await put(`${folder}/daily-Manifest.json`, JSON.stringify({ reportKeys: keys }));
  const names = keys.map((key) => `s3://${BUCKET}/${key}`);
  const report = `s3://${BUCKET}/b/daily/`;
  const once = await analyzed([report], lab.env);
  assert.deepEqual([once.gib, once.repeated], [['3.000000'], []]);
  const more = [report, `s3://${BUCKET}/${folder}/daily-Manifest.json`, names[1] ?? ''];
  const again = await analyzed(more, lab.env);
  const said = [names[0], names[1], names[1]].map((name) => `${name} was specified more than once; it is counted once`);
  assert.deepEqual(again, { ...once, repeated: said });
});
