/** `analyze` as users run it: with EC2 in several regions, and reports from files, pipes and buckets. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { CreateVolumeCommand, EC2Client } from '@aws-sdk/client-ec2';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import Papa from 'papaparse';
import type { Analysis } from '../../src/costs/analysis.ts';
import { pricesIn } from '../../src/costs/prices.ts';
import { type BilledLine, csv, line, parquet, snapshotId, writeBill } from '../support/costs/bills.ts';
import { credentialsOf, labForTest, type RunOptions, runCli, type TestLab } from '../support/lab.ts';

const MONTH = '2026-09';

/** Creates a volume with a name. */
async function addVolume(lab: TestLab, region: string, Size: number, name: string): Promise<string> {
  const ec2 = new EC2Client({ region, credentials: credentialsOf(lab.env), endpoint: lab.lab.endpoints.ec2 });
  const Tags = [{ Key: 'Name', Value: name }];
  const TagSpecifications = [{ ResourceType: 'volume', Tags } as const];
  const volume = { AvailabilityZone: `${region}a`, Size, VolumeType: 'gp3', TagSpecifications } as const;
  const { VolumeId = '' } = await ec2.send(new CreateVolumeCommand(volume));
  ec2.destroy();
  return VolumeId;
}

interface Taken {
  day: string;
  gib: number;
}

/** Adds snapshots of a volume to EC2. @returns their lines in the bill. */
async function addChain(
  lab: TestLab,
  volumeId: string,
  sizeGiB: number,
  taken: readonly Taken[],
): Promise<BilledLine[]> {
  const lines: BilledLine[] = [];
  for (const { day, gib } of taken) {
    const startTime = `${day}T04:00:00Z`;
    const fixture = { volumeId, sizeGiB, startTime, region: 'us-west-2', dataBytes: 0 };
    const { snapshotId: id } = await lab.control.addSnapshot(fixture);
    lines.push(line(id, gib * 2048));
  }
  return lines;
}

const taken = (text: string): Taken[] =>
  text
    .trim()
    .split('\n')
    .map((row) => row.trim().split(' '))
    .map(([day = '', gib = '']) => ({ day, gib: Number(gib) }));

/** The example of the first version's README, with ids in place of `vol-xxx` and `snap-xxx`. */
const EXAMPLE = `vol-1 (500GB, MySQL Slave DB): 3016 GB total, $151/month for 16 snapshots, average snapshot change 32%
  snap-xxx  2016-11-01  448.7 GB
  snap-xxx  2016-12-01  261.7 GB (52%)
  snap-xxx  2017-01-01  301.5 GB (60%)
  snap-xxx  2017-02-01  275.4 GB (55%)
  snap-xxx  2017-03-01  250.5 GB (50%)
  snap-xxx  2017-04-01  279.3 GB (56%)
  snap-xxx  2017-05-01  320.6 GB (64%)
  snap-xxx  2017-05-17  218.1 GB (44%)
  snap-xxx  2017-05-18  90.8 GB (18%)
  snap-xxx  2017-05-19  85.2 GB (17%)
  snap-xxx  2017-05-20  89.4 GB (18%)
  snap-xxx  2017-05-21  93.2 GB (19%)
  snap-xxx  2017-05-22  92.6 GB (19%)
  snap-xxx  2017-05-23  82.8 GB (17%)
  snap-xxx  2017-05-24  87.1 GB (17%)
  snap-xxx  2017-05-25  39.5 GB (7.9%)

vol-2 (20GB, deleted): 5 GB total, $0.247/month for 6 snapshots, average snapshot change 2.1%
  snap-xxx  2015-04-27   2.4 GB
  snap-xxx  2015-05-04   0.1 GB (0.43%)
  snap-xxx  2015-06-01   0.1 GB (0.56%)
  snap-xxx  2015-06-29   0.1 GB (0.62%)
  snap-xxx  2016-04-25   2.2 GB (11%)
  snap-xxx  2016-09-08   0.0 GB (0.069%)
`;

const SLAVE = `2016-11-01 448.7
2016-12-01 261.7
2017-01-01 301.5
2017-02-01 275.4
2017-03-01 250.5
2017-04-01 279.3
2017-05-01 320.6
2017-05-17 218.1
2017-05-18 90.8
2017-05-19 85.2
2017-05-20 89.4
2017-05-21 93.2
2017-05-22 92.6
2017-05-23 82.8
2017-05-24 87.1
2017-05-25 39.5`;

const DELETED = `2015-04-27 2.404
2015-05-04 0.086
2015-06-01 0.112
2015-06-29 0.124
2016-04-25 2.2
2016-09-08 0.0138`;

test("hourly and daily reports produce the example in version 0's README", async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'], pageSize: 5 });
  const slave = await addVolume(lab, 'us-west-2', 500, 'MySQL Slave DB');
  const third = await addVolume(lab, 'us-west-2', 400, 'not in the example');
  const gone = 'vol-0123456789abcdef0';
  // The total of the example's region includes snapshots that the example does not show: 166.16 - 150.82 - 0.247.
  const others = await addChain(lab, third, 400, taken('2017-01-01 200\n2017-02-01 101.84'));
  const lines = [
    ...(await addChain(lab, gone, 20, taken(DELETED))),
    ...others,
    ...(await addChain(lab, slave, 500, taken(SLAVE))),
  ];
  for (const granularity of ['hourly', 'daily'] as const) {
    const report = csv('legacy', [{ month: MONTH, others: 3, snapshots: lines }], granularity);
    const path = writeBill(join(lab.directory, `${granularity}.csv.gz`), report);
    const done = await runCli(lab.env, ['--analyze', path]);
    assert.equal(done.code, 0, done.stderr);
    const [head = '', ...rest] = done.stdout.split('\n');
    assert.equal(head, 'Region us-west-2 ($166.16/month for 24 snapshots)');
    const paragraphs = rest
      .join('\n')
      .split('\n\n')
      .filter((paragraph) => !paragraph.startsWith(third));
    const shown = `${paragraphs.slice(0, 2).join('\n\n')}\n`;
    // Current ids fill the column. The ids in the README are shorter.
    assert.match(shown, /^ {2}snap-[0-9a-f]{17} {2}2016-11-01 {2}448\.7 GB$/m);
    assert.equal(
      shown
        .replaceAll(slave, 'vol-1')
        .replaceAll(gone, 'vol-2')
        .replaceAll(/snap-\w{17}/g, 'snap-xxx'),
      EXAMPLE,
    );
  }
});

async function analyzed(lab: TestLab, argv: readonly string[], options: RunOptions & { code?: number } = {}) {
  const done = await runCli(lab.env, ['analyze', '--json', ...argv], options);
  assert.equal(done.code, options.code ?? 0, done.stderr);
  return JSON.parse(done.stdout) as Analysis;
}

test('several regions, accounts and currencies; images; snapshots unknown to EC2; unreachable regions', async (t) => {
  const lab = await labForTest(t);
  const here = await lab.control.addSnapshot({ sizeGiB: 10, dataBytes: 3 * 2 ** 30 });
  const there = await lab.control.addSnapshot({ sizeGiB: 30, region: 'eu-west-1', ownerId: '999999999999' });
  const copy = { sizeGiB: 8, region: 'eu-west-1', volumeId: 'vol-ffffffff' };
  const copies = [await lab.control.addSnapshot(copy), await lab.control.addSnapshot(copy)];
  const { imageId } = await lab.control.addImage({ snapshotIds: [here.snapshotId] });
  const usEast = { region: 'us-east-1', rate: 0.05 };
  const europe = { region: 'eu-west-1', rate: 0.05, account: '999999999999' };
  const snapshots = [
    line(here.snapshotId, 2 * 2048, usEast),
    line(here.snapshotId, 3 * 2048, { ...usEast, tier: 'archive', rate: 0.0125 }),
    line(there.snapshotId, 2048, europe),
    ...copies.map(({ snapshotId: id }) => line(id, 2048, { ...europe, account: '123456789012' })),
    line(snapshotId(7), 2048, usEast),
    line(snapshotId(8), 4096, { region: 'ap-east-1', rate: 0.06 }),
    line(snapshotId(9), 2048, { region: 'cn-north-1', currency: 'CNY', rate: 0.277 }),
  ];
  const path = writeBill(join(lab.directory, 'r.csv'), csv('cur2', [{ month: MONTH, others: 7, snapshots }], 'hourly'));
  const action = { kind: 'error', code: 'UnauthorizedOperation', status: 403 } as const;
  await lab.control.script({ service: 'ec2', operation: 'DescribeImages', match: {}, times: 1, action });
  const denied = await analyzed(lab, [path, '--regions', 'us-east-1']);
  assert.ok(denied.warnings.some(({ code, text }) => code === 'images-not-asked' && /us-east-1/.test(text)));
  const { regions, basis } = await analyzed(lab, [path]);
  assert.ok(basis.kind === 'report' && basis.isJoined);
  assert.deepEqual(
    regions.map(({ region, currency, monthly, snapshotCount }) => [
      region,
      currency,
      monthly.toFixed(3),
      snapshotCount,
    ]),
    [
      ['cn-north-1', 'CNY', '0.277', 1],
      ['us-east-1', 'USD', '0.188', 2],
      ['eu-west-1', 'USD', '0.150', 3],
      ['ap-east-1', 'USD', '0.120', 1],
    ],
  );
  const east = regions[1];
  const [known, unknown] = [
    east?.volumes.find(({ id }) => id === here.volumeId),
    east?.volumes.find(({ id }) => id === null),
  ];
  assert.deepEqual([known?.isDeleted, known?.sizeGiB, known?.gib.toFixed(2)], [true, 10, '5.00']);
  assert.deepEqual(known?.snapshots.map(({ tier }) => tier).sort(), ['archive', 'standard']);
  assert.deepEqual([known?.snapshots[0]?.images, known?.snapshots[0]?.fullGiB], [[imageId], 3]);
  assert.deepEqual(
    unknown?.snapshots.map(({ id, startedAt }) => [id, startedAt]),
    [[snapshotId(7), null]],
  );
  assert.equal(regions[2]?.volumes.length, 3, 'copies are no lineage');
  assert.deepEqual(regions[2]?.accounts, ['123456789012', '999999999999']);
  const only = await analyzed(lab, [path, '--accounts', '999999999999', '--offline']);
  assert.deepEqual(
    only.regions.map(({ region, volumes }) => [region, volumes.length]),
    [['eu-west-1', 1]],
  );
  await lab.control.script({ service: 'ec2', operation: 'DescribeSnapshots', times: 1, action });
  const alone = await analyzed(lab, [path, '--regions', 'ap-east-1']);
  assert.ok(alone.warnings.some(({ code, text }) => code === 'region-not-asked' && /ap-east-1/.test(text)));
  assert.equal(alone.regions[0]?.volumes[0]?.id, null);
});

test('standard input as in version 0; no snapshots; wrong files; repeated arguments', async (t) => {
  const lab = await labForTest(t);
  const month = { month: MONTH, others: 3, snapshots: [line(snapshotId(1), 2048)] };
  const report = gzipSync(csv('focus-1.2', [month], 'hourly'));
  for (const argv of [
    ['--analyze', '--offline'],
    ['analyze', '-', '--offline', '--quiet'],
  ]) {
    const done = await runCli(lab.env, argv, { input: report });
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /^Region us-west-2 \(\$0\.05\/month for 1 snapshot\)\nunknown volumes: 1 GB total/);
    assert.equal(done.stderr === '', argv.includes('--quiet'));
  }
  const piped = await runCli(lab.env, ['analyze', '--offline'], { input: parquet('cur2', month, 'daily') });
  assert.match(piped.stdout, /^Region us-west-2 \(\$0\.05\/month for 1 snapshot\)/);
  const nothing = await runCli(lab.env, ['analyze', '--offline'], {
    input: csv('cur2', [{ ...month, snapshots: [] }], 'daily'),
  });
  assert.equal(nothing.code, 10);
  assert.match(nothing.stdout, /WARNING: no row of the report bills the storage of a snapshot/);
  const cut = await runCli(lab.env, ['analyze', '--offline'], { input: report.subarray(0, -30) });
  assert.equal(cut.code, 1);
  assert.match(cut.stderr, /standard input is truncated/);
  for (const [argv, message] of [
    [['missing.csv'], /cannot read missing\.csv/],
    [['-', '-'], /can be specified only once/],
    [[import.meta.filename], /is not a cost report/],
    [['-', '--csv', '/nowhere/at/all.csv'], /cannot write \/nowhere/],
  ] as const) {
    const refused = await runCli(lab.env, ['analyze', '--offline', ...argv], { input: '' });
    assert.equal(refused.code, 2, refused.stderr);
    assert.match(refused.stderr, message);
    assert.doesNotMatch(refused.stderr, /^ +at /m);
  }
});

test('the number of understood rows and dollars is in the text, JSON, page and CSV', async (t) => {
  const lab = await labForTest(t);
  const snapshots = [line(snapshotId(1), 2048), line(snapshotId(2), 2048)];
  const rows = csv('cur2', [{ month: MONTH, others: 6, snapshots, until: 1 }], 'daily')
    .toString()
    .replace('EBS:SnapshotUsage', 'EBS:SnapshotOfTomorrow');
  const path = writeBill(join(lab.directory, 'r.csv'), Buffer.from(`${rows.trimEnd()},one more\n`));
  const [page, table] = [join(lab.directory, 'page.html'), join(lab.directory, 'table.csv')];
  const done = await runCli(lab.env, ['analyze', '--offline', path, '--html', page, '--csv', table]);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /8 rows, \d about snapshots, 1 MALFORMED, 1 NOT UNDERSTOOD/);
  assert.match(done.stdout, /^8 rows read, 6 understood, 1 malformed \(their costs may be missing\)\.$/m);
  assert.match(done.stdout, /^Cost of EBS snapshots in the report: \$0\.0\d; explained: \$0\.0\d \(storage \$0\.00, /m);
  assert.match(
    done.stdout,
    /WARNING: 1 of 8 rows of .* are malformed.*; 1 of 8 rows .* not understood .*SnapshotOfTomorrow/,
  );
  const { basis } = await analyzed(lab, [path, '--offline']);
  assert.ok(basis.kind === 'report');
  assert.deepEqual([basis.rows.read, basis.rows.understood, basis.rows.broken], [8, 6, 1]);
  const [charges] = basis.charges;
  assert.ok(charges && charges.inReport !== charges.explained && charges.storage > 0);
  assert.match(readFileSync(page, 'utf8'), /8 read, 6 understood.*EBS snapshots in the report/s);
  const [first] = Papa.parse<Record<string, string>>(readFileSync(table, 'utf8'), { header: true }).data;
  assert.deepEqual([first?.['rows_read'], first?.['rows_understood']], ['8', '6']);
  assert.equal(Number(first?.['charged_in_report']), charges.inReport);
  assert.equal(Number(first?.['charged_explained']), charges.explained);
});

test('list prices have their own currency, and are not presented as rates of the report', async (t) => {
  const lab = await labForTest(t);
  const snapshots = [line(snapshotId(1), 2048, { region: 'cn-north-1', currency: 'CNY', rate: 0.277 })];
  const rows = csv('cur2', [{ month: MONTH, others: 0, snapshots }], 'daily').toString();
  const without = rows.replace('unblended_cost', 'other').replace('unblended_rate', 'another');
  const path = writeBill(join(lab.directory, 'r.csv'), Buffer.from(without));
  const { regions, prices, warnings } = await analyzed(lab, [path, '--offline']);
  assert.deepEqual(
    regions.map(({ currency, monthly, isBilled }) => [currency, monthly.toFixed(2), isBilled]),
    [['USD', '0.05', false]],
  );
  assert.equal(prices.source, 'built-in');
  assert.ok(warnings.some(({ code }) => code === 'no-costs'));
  const discounts = `${rows}${rows
    .trimEnd()
    .split('\n')
    .at(-1)
    ?.replace(',Usage,', ',EdpDiscount,')
    .replaceAll(/,(0\.\d+)/g, ',-$1')}\n`;
  const before = await analyzed(lab, [writeBill(path, Buffer.from(discounts)), '--offline']);
  assert.ok(before.warnings.some(({ code }) => code === 'before-discounts'));
});

test('problems of a report are shown next to its figures', async (t) => {
  const lab = await labForTest(t);
  const path = (name: string, content: string | Buffer) => writeBill(join(lab.directory, name), Buffer.from(content));
  const lines = csv(
    'legacy',
    [{ month: MONTH, others: 0, snapshots: [line(snapshotId(1), 2048)] }],
    'monthly',
  ).toString();
  const monthly = path('monthly.csv', lines);
  const without = path(
    'without.csv',
    lines.replace(/lineItem\/ResourceId/, 'lineItem/Other').replace(/arn:\S*?snap-\w+/, ''),
  );
  const ragged = path('ragged.csv', `${lines.replaceAll(snapshotId(1), snapshotId(2))}a,b\n`);
  const { warnings } = await analyzed(lab, [monthly, without, ragged, '--offline']);
  assert.deepEqual(
    warnings.map(({ code, text }) => `${code} ${/(monthly|without|ragged)\.csv/.exec(text)?.[1] ?? ''}`).slice(0, 5),
    [
      'monthly-report monthly',
      'no-resource-ids without',
      'monthly-report without',
      'broken-rows ragged',
      'monthly-report ragged',
    ],
  );
  const text = await runCli(lab.env, ['analyze', without, '--offline']);
  assert.match(text.stdout, /^Region us-west-2 \(\$0\.05\/month for snapshots that the report does not name\)/);
  assert.match(text.stdout, /WARNING: .*without\.csv has no resource ids/);
});

const put = (lab: TestLab, Key: string, Body: Buffer | string) =>
  lab.s3.send(new PutObjectCommand({ Bucket: 'bills', Key, Body }));

test('from S3: the manifest selects the newest version of each month with all its parts', async (t) => {
  const lab = await labForTest(t, { pageSize: 3 });
  await lab.control.addBucket('bills');
  const part = (month: string, number: number, gib: number) =>
    gzipSync(csv('legacy', [{ month, others: 5, snapshots: [line(snapshotId(number), gib * 2048)] }], 'daily'));
  const folder = (month: string) => `b/daily/${month === '2026-08' ? '20260801-20260901' : '20260901-20261001'}`;
  for (const [assembly, gib] of [
    ['old', 99],
    ['new', 2],
  ] as const) {
    for (const month of ['2026-08', '2026-09']) {
      const keys = [1, 2].map((number) => `${folder(month)}/${assembly}/daily-0000${number}.csv.gz`);
      for (const [at, key] of keys.entries()) await put(lab, key, part(month, at, gib));
      const manifest = JSON.stringify({
        reportName: 'daily',
        bucket: 'bills',
        reportKeys: keys,
        columns: [{ name: 'x' }],
      });
      await put(lab, `${folder(month)}/${assembly}/daily-Manifest.json`, manifest);
      await put(lab, `${folder(month)}/daily-Manifest.json`, manifest);
    }
  }
  const { regions, trend, basis } = await analyzed(lab, ['s3://bills/b/daily/', '--offline']);
  assert.equal(regions[0]?.gib.toFixed(3), '4.000');
  assert.deepEqual(
    trend.map(({ month, gib }) => `${month} ${gib.toFixed(2)}`),
    ['2026-08 4.00', '2026-09 4.00'],
  );
  assert.equal(basis.kind === 'report' ? basis.sources.length : 0, 4);
  const latest = await analyzed(lab, ['s3://bills/b/daily', '--offline', '--months', '1']);
  assert.deepEqual(
    latest.trend.map(({ month }) => month),
    ['2026-09'],
  );
  const one = await analyzed(lab, [`s3://bills/${folder('2026-08')}/new/daily-00001.csv.gz`, '--offline']);
  assert.equal(one.regions[0]?.gib.toFixed(3), '2.000');
  const [export9, meta9] = ['b/focus/data/BILLING_PERIOD=2026-09', 'b/focus/metadata/BILLING_PERIOD=2026-09'];
  const month = { month: '2026-09', others: 5, snapshots: [line(snapshotId(3), 7 * 2048)] };
  await put(lab, `${export9}/focus-00001.snappy.parquet`, parquet('focus-1.0', month, 'hourly'));
  await put(lab, `${export9}/20260101T00/focus-00001.snappy.parquet`, 'of an older execution');
  await put(
    lab,
    `${meta9}/focus-Manifest.json`,
    JSON.stringify({ exportArn: 'arn:aws:bcm-data-exports:us-east-1:1:export/focus' }),
  );
  const exported = await analyzed(lab, ['s3://bills/b/focus/', '--offline']);
  assert.equal(exported.regions[0]?.gib.toFixed(3), '7.000');
  const both = await runCli(lab.env, ['analyze', 's3://bills/', '--offline']);
  assert.equal(both.code, 2);
  assert.match(both.stderr, /there are 2 reports below s3:\/\/bills\/: b\/daily, b\/focus/);
  const none = await runCli(lab.env, ['analyze', 's3://bills/c/', '--offline']);
  assert.deepEqual([none.code, /there is no billing report below/.test(none.stderr)], [2, true]);
  await put(lab, `${meta9}/focus-Manifest.json`, JSON.stringify({ dataFiles: [`s3://bills/${export9}/gone.parquet`] }));
  const gone = await runCli(lab.env, ['analyze', 's3://bills/b/focus/', '--offline']);
  assert.deepEqual([gone.code, /gone\.parquet does not exist, although the manifest/.test(gone.stderr)], [1, true]);
});

test('the CSV file, and the plan that migrate accepts', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const volume = await addVolume(lab, 'us-east-1', 100, '=1+1');
  const lines: BilledLine[] = [];
  for (const [at, gib] of [90, 80, 85, 70].entries()) {
    const fixture = {
      volumeId: volume,
      sizeGiB: 100,
      startTime: `2020-0${at + 1}-01T00:00:00Z`,
      dataBytes: 90 * 2 ** 30,
    };
    const { snapshotId: id } = await lab.control.addSnapshot(fixture);
    lines.push(line(id, gib * 2048, { region: 'us-east-1' }));
  }
  const path = writeBill(
    join(lab.directory, 'r.csv'),
    csv('legacy', [{ month: MONTH, others: 0, snapshots: lines }], 'daily'),
  );
  const [table, plan, page] = ['table.csv', 'plan.txt', 'page.html'].map((name) => join(lab.directory, name));
  const done = await runCli(lab.env, [
    'analyze',
    path,
    '--csv',
    table ?? '',
    '--plan',
    plan ?? '',
    '--html',
    page ?? '',
  ]);
  assert.equal(done.code, 0, done.stderr);
  assert.match(
    done.stdout,
    new RegExp(`4 snapshots of ${volume} to DEEP_ARCHIVE: saves (at least )?\\$\\d+\\.\\d\\d/month`),
  );
  assert.match(readFileSync(page ?? '', 'utf8'), new RegExp(`^<!doctype html>[^]*${volume}`));
  const { data } = Papa.parse<Record<string, string>>(readFileSync(table ?? '', 'utf8').trim(), { header: true });
  assert.deepEqual(
    data.map(({ snapshot, gib }) => [snapshot, Math.round(Number(gib))]),
    lines.map(({ id }, at) => [id, [90, 80, 85, 70][at]]),
  );
  assert.equal(data[0]?.['volume_name'], "'=1+1", 'no formula');
  assert.equal(data[0]?.['best_for_volume'], 's3 DEEP_ARCHIVE full');
  const planned = await runCli(lab.env, [
    'migrate',
    '--from',
    plan ?? '',
    '--bucket',
    'backups',
    '--dry-run',
    '--json',
  ]);
  assert.equal(planned.code, 0, planned.stderr);
  const plans = planned.stdout
    .split('\n')
    .filter((text) => text.includes('plan.snapshot'))
    .map((text) => JSON.parse(text).plan);
  assert.deepEqual(
    plans.map(({ snapshot, storageClass }) => [snapshot, storageClass]),
    lines.map(({ id }) => [id, 'DEEP_ARCHIVE']),
  );
  mkdirSync(join(lab.directory, 'plans'));
  const file = (name: string, text: string) => {
    writeFileSync(join(lab.directory, 'plans', name), text);
    return join(lab.directory, 'plans', name);
  };
  const [first, second] = [lines[0]?.id ?? '', lines[1]?.id ?? ''];
  const several = file('several', `# of two\n${first} us-east-1 GLACIER vol-1\n\n${second} us-east-1 DEEP_ARCHIVE\n`);
  for (const [argv, code, message] of [
    [['--from', several], 2, /names several storage classes: DEEP_ARCHIVE, GLACIER/],
    [['--from', several, '--storage-class', 'STANDARD'], 0, /class +STANDARD$/m],
    [['--from', file('elsewhere', `${first} eu-west-1\n`)], 10, /names no snapshot in us-east-1/],
    [['--from', file('wrong', 'snap-1\n')], 2, /line 1 of .*wrong does not begin with a snapshot id/],
    [['--from', file('class', `${first} us-east-1 GLACIAL\n`)], 2, /an unknown storage class: GLACIAL/],
    [['--from', 'missing'], 2, /cannot read missing/],
    [['--from', several, '--all'], 2, /cannot be used with/],
  ] as const) {
    const run = await runCli(lab.env, ['migrate', '--bucket', 'backups', '--dry-run', ...argv]);
    assert.equal(run.code, code, run.stderr);
    assert.match(run.stdout + run.stderr, message);
  }
  const { AWS_REGION: _region, ...without } = lab.env;
  const other = await runCli(without, [
    'migrate',
    '--bucket',
    'backups',
    '--dry-run',
    '--from',
    file('bare', `${first}\n`),
  ]);
  assert.equal(other.code, 0, other.stderr);
});

test('the costs to come: at the measured rate, and at an assumed one where nothing was measured', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const [known, lone] = [
    await addVolume(lab, 'us-east-1', 100, 'known'),
    await addVolume(lab, 'us-east-1', 80, 'lone'),
  ];
  const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();
  const billed = async (volumeId: string, sizeGiB: number, days: number, gib: number) => {
    const fixture = { volumeId, sizeGiB, startTime: daysAgo(days), dataBytes: sizeGiB * 2 ** 30 };
    const { snapshotId: id } = await lab.control.addSnapshot(fixture);
    return line(id, gib * 2048, { region: 'us-east-1' });
  };
  const snapshots = [
    await billed(known, 100, 15, 100),
    await billed(known, 100, 10, 2),
    await billed(known, 100, 5, 4),
    await billed(lone, 80, 5, 80),
  ];
  const path = writeBill(
    join(lab.directory, 'r.csv'),
    csv('legacy', [{ month: MONTH, others: 0, snapshots }], 'daily'),
  );
  const { regions, assumptions } = await analyzed(lab, [path]);
  assert.deepEqual(assumptions.change, { percent: 5, is: 'assumed' });
  assert.deepEqual(
    regions[0]?.volumes.map(({ name, change }) => [
      name,
      change?.percent.toFixed(3),
      change?.is,
      Math.round(change?.days ?? 0),
    ]),
    [
      ['known', '3.000', 'measured', 5],
      ['lone', '5.000', 'assumed', 0],
    ],
  );
  const html = join(lab.directory, 'page.html');
  const text = await runCli(lab.env, ['analyze', path, '--change', '2', '--html', html]);
  assert.equal(text.code, 0, text.stderr);
  // 73 snapshots with 3 GiB, and 365 with 1.6 GiB.
  const inEbs = (100 + 72 * 3 + 80 + 364 * 1.6) * 0.05;
  assert.ok(
    text.stdout.includes(
      `If 2 volumes with regular snapshots keep them for 12 months: $${inEbs.toFixed(2)}/month in EBS, `,
    ),
    text.stdout,
  );
  assert.match(
    text.stdout,
    /Not measured on 1 of them: daily snapshots with a change of 2% are assumed \(--change\)\./,
  );
  assert.match(readFileSync(html, 'utf8'), /1 volume has no two snapshots to compare: 2 % is given with --change\./);
});

test('--refresh-prices fetches only the regions of the bill; an invalid price file is refused before', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId: id } = await lab.control.addSnapshot({
    volumeId: 'vol-0123456789abcdef0',
    sizeGiB: 100,
    startTime: '2020-01-01T00:00:00Z',
    dataBytes: 100 * 2 ** 30,
  });
  const snapshots = [line(id, 100 * 2048, { region: 'us-east-1' })];
  const report = csv('legacy', [{ month: MONTH, others: 0, snapshots }], 'daily');
  const path = writeBill(join(lab.directory, 'r.csv'), report);
  const own = join(lab.directory, 'own.json');
  writeFileSync(own, '{"region":{}}');
  const refused = await runCli(lab.env, ['analyze', path, '--refresh-prices', '--prices', own]);
  assert.equal(refused.code, 2, refused.stderr);
  assert.deepEqual(await lab.control.calls(), []);
  const { prices, regions } = await analyzed(lab, [path, '--refresh-prices']);
  assert.equal(prices.source, 'report');
  assert.match(
    prices.note,
    /^snapshots at the rates of the report; other prices: .*Price List API as of \S+ for us-east-1;/,
  );
  const tier = regions[0]?.volumes[0]?.decision?.choices.find(({ what }) => what === 'ebs-archive');
  // The lab's prices of us-east-1 are 1.1 times the real ones.
  assert.ok(Math.abs((tier?.monthly ?? 0) - 100 * 0.0125 * 1.1) < 1e-6, JSON.stringify(tier));
  const asked = (await lab.control.calls()).filter(({ service }) => service === 'pricing');
  assert.equal(asked.length, 5);
});

test('without a report: the cost is shown before the changes between snapshots are listed', async (t) => {
  const lab = await labForTest(t);
  const block = (content: number) => Buffer.alloc(512 * 1024, content);
  const image = (name: string, blocks: readonly number[]) => {
    const path = join(lab.directory, name);
    writeFileSync(path, Buffer.concat(blocks.map(block)));
    return path;
  };
  const volumeId = 'vol-0123456789abcdef0';
  const add = (name: string, blocks: readonly number[], startTime: string) =>
    lab.control.addSnapshot({ imagePath: image(name, blocks), volumeId, startTime });
  await add('one', [1, 2, 3, 4], '2026-01-01T00:00:00Z');
  const second = await add('two', [1, 2, 9, 4, 5, 6], '2026-02-01T00:00:00Z');
  await lab.control.addSnapshot({ imagePath: image('three', [7, 7]), volumeId: 'vol-ffffffff' });
  await lab.control.addSnapshot({
    sizeGiB: 10,
    volumeId: 'vol-0123456789abcdef1',
    storageTier: 'archive',
    dataBytes: 2 ** 31,
  });
  const done = await runCli(lab.env, ['analyze', '--live', '--json', '--regions', 'us-east-1']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(
    done.stderr,
    /us-east-1: comparing 4 snapshots through the EBS direct APIs \(at most 1 request, <\$0\.0001/,
  );
  const { regions, basis } = JSON.parse(done.stdout) as Analysis;
  assert.deepEqual([basis.kind, basis.kind === 'live' ? basis.calls.requests : 0], ['live', 1]);
  // The snapshots are in the second region, which has other prices than the first one.
  const inBoth = await runCli(lab.env, ['analyze', '--live', '--json', '--regions', 'sa-east-1', 'us-east-1']);
  const { basis: ofBoth } = JSON.parse(inBoth.stdout) as Analysis;
  const [dollars, others] = ['us-east-1', 'sa-east-1'].map((name) => pricesIn(name).direct.thousandLists / 1000);
  assert.notEqual(dollars, others);
  assert.deepEqual(ofBoth.kind === 'live' ? ofBoth.calls : null, { requests: 1, dollars });
  const chain = regions[0]?.volumes.find(({ id }) => id === volumeId);
  assert.deepEqual(
    chain?.snapshots.map(({ gib }) => gib * 2048),
    [4, 3],
  );
  const [archived] = regions[0]?.volumes.find(({ id }) => id === 'vol-0123456789abcdef1')?.snapshots ?? [];
  assert.deepEqual([archived?.tier, archived?.gib, archived?.monthly], ['archive', 2, 0.025]);
  const action = { kind: 'error', code: 'AccessDeniedException', status: 403 } as const;
  await lab.control.script({ service: 'ebs', operation: 'ListChangedBlocks', times: 1, action });
  const denied = await runCli(lab.env, ['analyze', '--live', '--quiet']);
  assert.equal(denied.code, 0, denied.stderr);
  assert.match(denied.stdout, new RegExp(`WARNING: ${second.snapshotId} is shown with all its data`));
  const both = await runCli(lab.env, ['analyze', '--live', 'report.csv']);
  assert.deepEqual([both.code, /--live cannot be combined with a report/.test(both.stderr)], [2, true]);
});
