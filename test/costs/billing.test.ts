/** Billing reports of all formats have the same result, and problems in them are reported. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createReadStream, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { constants, deflateRawSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import Papa from 'papaparse';
import { CsvScan } from '../../src/billing/csv-scan.ts';
import { type Billed, Ledger } from '../../src/billing/ledger.ts';
import { type ReportFacts, readReport } from '../../src/billing/read-report.ts';
import { SnapError } from '../../src/errors.ts';
import { type BilledMonth, csv, line, parquet, snapshotId, writeBill } from '../support/costs/bills.ts';
import { temporaryDirectory } from '../support/lab.ts';

const LATER = Date.parse('2030-01-01');

async function read(paths: readonly string[], today = LATER, isStream = false) {
  const ledger = new Ledger();
  const facts: ReportFacts[] = [];
  const signal = new AbortController().signal;
  for (const path of paths) {
    const source = {
      name: path,
      bytes: statSync(path).size,
      path: isStream ? null : path,
      open: () => createReadStream(path, { highWaterMark: isStream ? 1000 : 65_536 }),
    };
    facts.push(await readReport(source, ledger, { signal, onBytes: () => {} }));
  }
  return { facts, billed: ledger.result(today) };
}

const MONTH: BilledMonth = {
  month: '2026-09',
  others: 12,
  snapshots: [
    line(snapshotId(1), 20_480),
    line(snapshotId(2), (day) => (day < 12 ? null : 228)),
    line(snapshotId(3), (day) => (day > 20 ? null : 999)),
    line(snapshotId(4), 4096, { tier: 'archive', rate: 0.0125 }),
    line(snapshotId(1), 81_920, { tier: 'archive', rate: 0.0125 }),
    line(snapshotId(5), 3 * 2048 + 1, { region: 'us-east-1', account: '210987654321' }),
    line(snapshotId(6), 2048, { region: 'cn-north-1', currency: 'CNY', rate: 0.277 }),
  ],
};

/** Rounds costs to five decimals, and sizes to whole blocks. */
const rounded = ({ snapshots, trend, ...rest }: Billed) => ({
  ...rest,
  snapshots: snapshots
    .map(({ gib, monthly, ...other }) => ({
      ...other,
      blocks: Math.round(gib * 2048),
      monthly: (monthly ?? Number.NaN).toFixed(5),
    }))
    .sort((a, b) => `${a.id}${a.tier}`.localeCompare(`${b.id}${b.tier}`)),
  trend: trend.map(({ gib, cost, ...other }) => ({ ...other, gib: gib.toFixed(4), cost: cost.toFixed(4) })),
});

test('hourly, daily, Parquet, Athena, CUR 2.0 and FOCUS reports of a month have the same result', async (t) => {
  const directory = temporaryDirectory(t);
  const path = (name: string, content: Buffer) => writeBill(join(directory, name), content);
  const expected = rounded((await read([path('hourly.csv', csv('legacy', [MONTH], 'hourly'))])).billed);
  assert.deepEqual(
    expected.snapshots.map(({ id, tier, blocks, monthly, currency, account }) => [
      id,
      tier,
      blocks,
      monthly,
      currency,
      account,
    ]),
    [
      [snapshotId(1), 'archive', 81_920, '0.50000', 'USD', '123456789012'],
      [snapshotId(1), 'standard', 20_480, '0.50000', 'USD', '123456789012'],
      [snapshotId(2), 'standard', 228, '0.00557', 'USD', '123456789012'],
      [snapshotId(4), 'archive', 4096, '0.02500', 'USD', '123456789012'],
      [snapshotId(5), 'standard', 6145, '0.15002', 'USD', '210987654321'],
      [snapshotId(6), 'standard', 2048, '0.27700', 'CNY', '123456789012'],
    ],
  );
  assert.deepEqual([expected.firstDay, expected.latestDay], ['2026-09-01', '2026-09-30']);
  const reports: [string, Buffer, string, string][] = [
    ['hourly.csv.gz', csv('legacy', [MONTH], 'hourly'), 'legacy-cur', 'hourly'],
    ['daily.csv', csv('legacy', [MONTH], 'daily'), 'legacy-cur', 'daily'],
    ['athena.csv', csv('athena', [MONTH], 'daily'), 'legacy-cur', 'daily'],
    ['athena.parquet', parquet('athena', MONTH, 'hourly'), 'legacy-cur', 'hourly'],
    ['cur2.csv.gz', csv('cur2', [MONTH], 'hourly'), 'cur-2.0', 'hourly'],
    ['cur2.parquet', parquet('cur2', MONTH, 'daily', 50), 'cur-2.0', 'daily'],
    ['focus10.csv', csv('focus-1.0', [MONTH], 'hourly'), 'focus-1.0', 'hourly'],
    ['focus10.parquet', parquet('focus-1.0', MONTH, 'daily'), 'focus-1.0', 'daily'],
    ['focus12.csv.gz', csv('focus-1.2', [MONTH], 'hourly'), 'focus-1.2', 'hourly'],
    ['focus12.parquet', parquet('focus-1.2', MONTH, 'daily'), 'focus-1.2', 'daily'],
  ];
  for (const [name, content, format, granularity] of reports) {
    const file = path(name, content);
    for (const isStream of [false, true]) {
      const { facts, billed } = await read([file], LATER, isStream);
      assert.deepEqual(rounded(billed), expected, name);
      assert.deepEqual([facts[0]?.format, facts[0]?.granularity, facts[0]?.broken], [format, granularity, 0], name);
    }
  }
});

test('zip files, with one report or several; gz of several members', async (t) => {
  const directory = temporaryDirectory(t);
  const whole = csv('legacy', [MONTH], 'daily');
  writeBill(join(directory, 'whole.csv'), whole);
  const expected = rounded((await read([join(directory, 'whole.csv')])).billed);
  execFileSync('python3', ['-m', 'zipfile', '-c', 'one.zip', 'whole.csv'], { cwd: directory });
  assert.deepEqual(rounded((await read([join(directory, 'one.zip')])).billed), expected);
  assert.deepEqual(rounded((await read([join(directory, 'one.zip')], LATER, true)).billed), expected);
  const [half, rest] = [
    { ...MONTH, snapshots: MONTH.snapshots.slice(0, 3) },
    { ...MONTH, snapshots: MONTH.snapshots.slice(3) },
  ].map((part) => csv('legacy', [part], 'daily'));
  writeBill(join(directory, 'a.csv'), half ?? whole);
  writeBill(join(directory, 'b.csv'), rest ?? whole);
  execFileSync('python3', ['-m', 'zipfile', '-c', 'two.zip', 'a.csv', 'b.csv'], { cwd: directory });
  assert.deepEqual(rounded((await read([join(directory, 'two.zip')])).billed).snapshots, expected.snapshots);
  const members = Buffer.concat([gzipSync(whole.subarray(0, 1001)), gzipSync(whole.subarray(1001))]);
  writeFileSync(join(directory, 'members.gz'), members);
  assert.deepEqual(rounded((await read([join(directory, 'members.gz')])).billed), expected);
});

test('months of 28, 30 and 31 days give the same size, and several months form a trend', async (t) => {
  const directory = temporaryDirectory(t);
  const months = ['2026-08', '2026-09', '2027-02'].map((month) => ({
    ...MONTH,
    month,
    snapshots: [line(snapshotId(1), 4096)],
  }));
  for (const granularity of ['hourly', 'daily', 'monthly'] as const) {
    for (const month of months) {
      const path = writeBill(join(directory, 'one.csv'), csv('legacy', [month], granularity));
      const { facts, billed } = await read([path]);
      assert.equal(billed.snapshots[0]?.gib.toFixed(6), '2.000000', `${month.month} ${granularity}`);
      assert.equal(billed.snapshots[0]?.monthly?.toFixed(6), '0.100000');
      assert.equal(facts[0]?.granularity, granularity);
    }
  }
  const paths = months.map((month) =>
    writeBill(join(directory, `${month.month}.csv`), csv('legacy', [month], 'hourly')),
  );
  const { billed } = await read(paths.toReversed());
  assert.deepEqual(
    billed.trend.map(({ month, gib, cost, snapshotCount }) => [month, gib.toFixed(3), cost.toFixed(3), snapshotCount]),
    ['2026-08', '2026-09', '2027-02'].map((month) => [month, '2.000', '0.100', 1]),
  );
  assert.deepEqual([billed.firstDay, billed.latestDay], ['2026-08-01', '2027-02-28']);
});

test('incomplete days are ignored, separately for each region', async (t) => {
  const directory = temporaryDirectory(t);
  const snapshots = Array.from({ length: 20 }, (_, number) =>
    line(snapshotId(number), (day) => (day === 12 && number > 9 ? null : 2048 * day)),
  );
  const elsewhere = line(snapshotId(99), (day) => (day > 10 ? null : 2048), { region: 'eu-west-1' });
  const report = csv(
    'legacy',
    [{ month: '2026-09', others: 2, snapshots: [...snapshots, elsewhere], until: 12 }],
    'hourly',
  );
  const path = writeBill(join(directory, 'open.csv'), report);
  const growing = await read([path], Date.parse('2026-09-13T09:00:00Z'));
  assert.deepEqual([growing.billed.latestDay, growing.billed.hasIncompleteDays], ['2026-09-11', true]);
  assert.equal(growing.billed.snapshots.length, 21);
  assert.equal(growing.billed.snapshots[0]?.gib.toFixed(3), '11.000');
  const final = await read([path], Date.parse('2026-10-20T09:00:00Z'));
  assert.deepEqual([final.billed.latestDay, final.billed.hasIncompleteDays], ['2026-09-12', false]);
  assert.equal(final.billed.snapshots.length, 11);
});

const refusal = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SnapError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return true;
};

test('malformed rows are counted with position and reason; unknown columns, BOM, CRLF and NULL are accepted', async (t) => {
  const directory = temporaryDirectory(t);
  const lines = csv('focus-1.0', [{ ...MONTH, others: 0 }], 'daily')
    .toString()
    .trimEnd()
    .split('\n');
  const column = (name: string) => (lines[0] ?? '').split(',').indexOf(name);
  const change = (text: string, name: string, value: string) => {
    const [fields = []] = Papa.parse<string[]>(text).data;
    return Papa.unparse([fields.with(column(name), value)]);
  };
  const [header = '', first = '', second = '', third = '', fourth = '', fifth = ''] = lines;
  const broken = [
    change(first, 'ConsumedQuantity', 'many'),
    change(second, 'ChargePeriodStart', 'yesterday'),
    `${third},one more`,
    change(fourth, 'BilledCost', '1,5'),
    change(first, 'ConsumedQuantity', '0x10'),
    change(first, 'ConsumedQuantity', ' '),
  ];
  const good = change(fifth, 'ChargeClass', 'NULL');
  const text = `\uFEFF${[header, ...broken, good, ''].join('\r\n')}`;
  const path = writeBill(join(directory, 'broken.csv'), Buffer.from(text));
  const { facts, billed } = await read([path]);
  assert.deepEqual([facts[0]?.rows, facts[0]?.ofSnapshots, facts[0]?.broken], [7, 1, 6]);
  assert.deepEqual(
    facts[0]?.examples.map((example) => example.replace(/\d+ fields/, 'n fields').replace(/of \d+$/, 'of n')),
    [
      'row 4: n fields instead of n',
      'row 2: the amount "many" is not a number',
      'row 3: "yesterday" is not the start of a period',
      'row 5: the cost "1,5" is not a number',
      'row 6: the amount "0x10" is not a number',
    ],
  );
  assert.equal(billed.snapshots.length, 1);
  const cut = writeBill(join(directory, 'cut.csv'), Buffer.from(`${[header, first, second].join('\n').slice(0, -30)}`));
  assert.equal((await read([cut])).facts[0]?.broken, 1, 'a last row that was cut short');
  const quote = writeBill(join(directory, 'quote.csv'), Buffer.from(`${header}\n${first}\n"no end\n`));
  assert.match((await read([quote])).facts[0]?.examples[0] ?? '', /ends inside a quoted field/);
  const returns = writeBill(join(directory, 'returns.csv'), Buffer.from([header, first, second, ''].join('\r')));
  await assert.rejects(read([returns]), { code: 'USAGE', message: /its lines end in carriage returns alone/ });
});

test('reports without resource ids show the cost of each region', async (t) => {
  const directory = temporaryDirectory(t);
  const lines = csv('legacy', [{ ...MONTH, others: 0 }], 'daily')
    .toString()
    .replaceAll(/arn:aws:ec2:\S*?snap-\w+/g, '');
  const { billed } = await read([writeBill(join(directory, 'without.csv'), Buffer.from(lines))]);
  assert.ok(billed.snapshots.every(({ id }) => id === ''));
  const west = billed.snapshots.find(({ region, tier }) => region === 'us-west-2' && tier === 'standard');
  assert.equal(west?.gib.toFixed(4), (10 + 228 / 2048).toFixed(4));
  assert.equal(billed.trend.find(({ currency }) => currency === 'USD')?.snapshotCount, 0);
});

test('wrong, truncated and damaged files and decompression bombs are refused by name', async (t) => {
  const directory = temporaryDirectory(t);
  const file = (name: string, content: Buffer | string) => {
    writeFileSync(join(directory, name), content);
    return join(directory, name);
  };
  const report = csv('legacy', [MONTH], 'daily');
  const packed = gzipSync(report);
  for (const [name, content] of [
    ['empty', ''],
    ['text', 'Date,Description,Amount\n2026-09-01,coffee,3.20\n'],
    ['program', readFileSync(process.execPath).subarray(0, 100_000)],
    ['gz of text', gzipSync('hello, world\n')],
    ['empty zip', Buffer.from('PK\x05\x06'.padEnd(22, '\0'), 'latin1')],
  ] as const) {
    await assert.rejects(
      read([file(name, content)]),
      refusal('USAGE', new RegExp(`${name} is not a cost report`)),
      name,
    );
  }
  await assert.rejects(read([file('cut.gz', packed.subarray(0, -20))]), refusal('REPORT', /cut.gz is truncated/));
  const damaged = Buffer.from(packed);
  damaged.fill(0xff, 1000, 1100);
  await assert.rejects(read([file('bad.gz', damaged)]), refusal('REPORT', /bad.gz is damaged/));
  const columns = parquet('cur2', MONTH, 'daily');
  await assert.rejects(
    read([file('cut.parquet', columns.subarray(0, -50))]),
    refusal('REPORT', /cut.parquet is damaged/),
  );
  file('whole.csv', report);
  execFileSync(
    'python3',
    ['-c', 'import zipfile; zipfile.ZipFile("z.zip", "w", zipfile.ZIP_DEFLATED).write("whole.csv")'],
    { cwd: directory },
  );
  const zip = readFileSync(join(directory, 'z.zip'));
  await assert.rejects(
    read([file('cut.zip', zip.subarray(0, -300))]),
    refusal('REPORT', /cut.zip is a truncated or damaged zip file/),
  );
  zip.writeUInt32LE(1, zip.lastIndexOf('PK\x01\x02') + 16);
  await assert.rejects(read([file('bad.zip', zip)]), refusal('REPORT', /bad.zip is damaged/));
});

/** Returns a zip file that contains one deflated file. */
function zipOf(name: string, deflated: Buffer, plainBytes: number): Buffer {
  const sizes = Buffer.alloc(16);
  [0, deflated.length, plainBytes, name.length].forEach((value, at) => {
    sizes.writeUInt32LE(value, at * 4);
  });
  const facts = Buffer.concat([Buffer.from([20, 0, 0, 0, 8, 0, 0, 0, 0, 0]), sizes]);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), facts, Buffer.from(name), deflated]);
  const entry = Buffer.concat([Buffer.from('PK\x01\x02\x14\0'), facts, Buffer.alloc(14), Buffer.from(name)]);
  const end = Buffer.from('PK\x05\x06'.padEnd(22, '\0'), 'latin1');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(entry.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, entry, end]);
}

test('files that decompress to excessive sizes are stopped', async (t) => {
  const directory = temporaryDirectory(t);
  const header = csv('legacy', [], 'daily');
  const rows = Buffer.alloc(32 * 2 ** 20, `${'x'.repeat(4095)}\n`);
  const packed = gzipSync(rows, { level: 9 });
  const bomb = Buffer.concat([gzipSync(header), ...Array.from({ length: 9 }, () => packed)]);
  writeFileSync(join(directory, 'bomb.gz'), bomb);
  await assert.rejects(read([join(directory, 'bomb.gz')]), refusal('REPORT', /bomb.gz unpacks to more than 400 times/));
  // Deflated pieces that end with a full flush can be concatenated.
  const piece = (plain: Buffer) => deflateRawSync(plain, { level: 9, finishFlush: constants.Z_FULL_FLUSH });
  const many = Array.from<Buffer>({ length: 9 }).fill(piece(rows));
  const pieces = [piece(header), ...many, deflateRawSync('')];
  const plainBytes = header.length + 9 * rows.length;
  writeFileSync(join(directory, 'bomb.zip'), zipOf('r.csv', Buffer.concat(pieces), plainBytes));
  await assert.rejects(
    read([join(directory, 'bomb.zip')]),
    refusal('REPORT', /bomb.zip unpacks to more than 400 times/),
  );
  const line = gzipSync(Buffer.concat([header, Buffer.alloc(2 ** 24, 'x')]));
  writeFileSync(join(directory, 'line.gz'), line);
  await assert.rejects(
    read([join(directory, 'line.gz')]),
    refusal('REPORT', /row after row 1 of .*line.gz does not end/),
  );
});

test('the result does not depend on the number or order of files', () => {
  const start = Date.parse('2026-08-20');
  const usage = fc.record({
    tier: fc.constantFrom('standard' as const, 'archive' as const),
    resource: fc.constantFrom(...[1, 2, 3].map((id) => `arn:aws:ec2:us-east-1:1:snapshot/${snapshotId(id)}`)),
    currency: fc.constantFrom('USD', 'CNY'),
    amount: fc.integer({ min: 1, max: 9 }),
    day: fc.nat(25),
    part: fc.nat(4),
  });
  fc.assert(
    fc.property(fc.array(usage, { minLength: 1, maxLength: 60 }), (rows) => {
      const resultOf = (partOf: (row: (typeof rows)[number]) => number, today: number) => {
        const ledger = new Ledger();
        for (let number = 0; number < 5; number++) {
          const part = ledger.part(`part ${number}`);
          for (const row of rows.filter((candidate) => partOf(candidate) === number)) {
            const [from, to] = [start + row.day * 86_400_000, start + (row.day + 1) * 86_400_000];
            part.add({ ...row, region: 'us-east-1', account: '', cost: row.amount, start: from, end: to });
          }
          // A unique row, because parts that have the same rows by chance would count once.
          part.add({ ...MARK, resource: `snap-f${number}` });
          assert.equal(ledger.take(part).repeats, null);
        }
        const { snapshots, trend, ...rest } = rounded(ledger.result(today));
        const texts = (found: readonly object[]) => found.map((one) => JSON.stringify(one)).sort();
        return { snapshots: texts(snapshots), trend: texts(trend), ...rest };
      };
      for (const today of [LATER, Date.parse('2026-09-15')]) {
        assert.deepEqual(
          resultOf(({ part }) => part, today),
          resultOf(() => 0, today),
        );
      }
    }),
    { numRuns: 300 },
  );
});

/** A row of an additional snapshot on the first day. */
const MARK = {
  ...{ tier: 'standard' as const, region: 'us-east-1', account: '', currency: 'USD', amount: 1, cost: 1 },
  ...{ start: Date.parse('2026-08-20'), end: Date.parse('2026-08-21') },
};

const PARSE = { delimiter: ',', newline: '\n' } as const;

/** Scans a text in chunks of `step` bytes. @returns the valid rows, parsed, and the text of the faulty ones. */
function scanned(text: string, step: number): { rows: string[][]; faults: string[] } {
  const [rows, faults]: [string[][], string[]] = [[], []];
  const scan = new CsvScan((chunk, start, end, fault) => {
    const row = chunk.toString('utf8', start, end);
    if (fault === null) rows.push(...Papa.parse<string[]>(row, PARSE).data);
    else faults.push(row);
  });
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += step) assert.ok(scan.add(bytes.subarray(at, at + step)));
  scan.end();
  return { rows, faults };
}

const tableOf = (field: fc.Arbitrary<string>): fc.Arbitrary<string[][]> =>
  fc
    .integer({ min: 2, max: 5 })
    .chain((width) =>
      fc.array(fc.array(field, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 8 }),
    );

test('rows are found as by Papa Parse, however the input is split', () => {
  const field = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom('a "b" c', '""', 'x,y', 'two\nlines', '', '"'));
  fc.assert(
    fc.property(tableOf(field), fc.integer({ min: 1, max: 20 }), (table, step) => {
      const text = Papa.unparse(table, { newline: '\n' });
      const expected = Papa.parse<string[]>(text, { ...PARSE, skipEmptyLines: true }).data;
      assert.deepEqual(scanned(text, step), { rows: expected, faults: [] });
    }),
  );
});

/**
 * Texts without quotes, and without a comma at their start. With these, a row and its neighbor can also be one row
 * with the same number of fields (RFC 4180), and the intended meaning cannot be determined.
 */
const clearText = fc.string({ maxLength: 6 }).filter((text) => !/"|^ *,/.test(text));

test('a badly quoted row does not affect its neighbors', () => {
  const field = fc.oneof(clearText, fc.constantFrom('a "b" c', '""', 'x,y', '5"', ''));
  const quote = fc.constantFrom('"db" old', '"db old', '"', '"x"y"', 'x""', '"a","b', '""x');
  fc.assert(
    fc.property(tableOf(field), quote, fc.nat(), fc.nat(20), (table, bad, place, step) => {
      const [header = [], ...others] = table.map((row) => [
        'row',
        ...row.map((text) => text.replaceAll(/[\r\n]/g, ' ')),
      ]);
      const at = place % (others.length + 1);
      const lines = others.map((row) => Papa.unparse([row]));
      const text = [Papa.unparse([header]), ...lines.toSpliced(at, 0, `row,${bad}`), ''].join('\n');
      const { rows, faults } = scanned(text, step + 1);
      const found = rows.map((row) => JSON.stringify(row));
      for (const row of [header, ...others])
        assert.ok(found.includes(JSON.stringify(row)), JSON.stringify({ row, text }));
      assert.equal(rows.length + faults.length, others.length + 2, text);
    }),
  );
});

test('a quote inside a field shows that an unclosed quote has swallowed the next row', () => {
  const text = ['row,a,b,c', 'row,"db old', 'row,,", ",c', 'row,5",d,e', ''].join('\n');
  assert.deepEqual(scanned(text, 3), {
    rows: [
      ['row', 'a', 'b', 'c'],
      ['row', '', ', ', 'c'],
      ['row', '5"', 'd', 'e'],
    ],
    faults: ['row,"db old'],
  });
});

/** Changes values and columns of a CSV report. */
function changed(report: Buffer, change: (row: Record<string, string>, at: number) => Record<string, string>): string {
  const { data } = Papa.parse<Record<string, string>>(report.toString().trimEnd(), { header: true });
  return `${Papa.unparse(data.map(change), { newline: '\n' })}\n`;
}

const SMALL: BilledMonth = {
  month: '2026-09',
  others: 0,
  until: 1,
  snapshots: [1, 2, 3].map((id) => line(snapshotId(id), 2048)),
};

test('snapshots of other services are not counted as EBS snapshots, in CSV and in Parquet', async (t) => {
  const directory = temporaryDirectory(t);
  const others = [
    {
      x_ServiceCode: 'AmazonLightsail',
      ServiceName: 'Amazon Lightsail',
      SkuMeter: 'USE1-SnapshotUsage',
      ResourceId: 'arn:aws:lightsail:us-east-1:1:InstanceSnapshot/1',
    },
    {
      x_ServiceCode: '',
      ServiceName: 'Amazon ElastiCache',
      SkuMeter: 'BackupUsage',
      ResourceId: 'arn:aws:elasticache:us-east-1:1:snapshot:nightly',
    },
    { x_ServiceCode: 'AmazonRDS', ServiceName: '', SkuMeter: 'RDS:ChargedBackupUsage', ResourceId: '' },
  ];
  const focus = changed(csv('focus-1.2', [SMALL], 'daily'), (row, at) => ({ ...row, ...(at === 0 ? {} : others[at]) }));
  const { facts, billed } = await read([writeBill(join(directory, 'focus.csv'), Buffer.from(focus))]);
  assert.deepEqual(
    billed.snapshots.map(({ id }) => id),
    [snapshotId(1)],
  );
  assert.deepEqual([facts[0]?.ofSnapshots, facts[0]?.broken, facts[0]?.unclear], [1, 0, 0]);
  const told = Papa.parse<Record<string, string>>(focus.trimEnd(), { header: true });
  const columnData = (told.meta.fields ?? []).map((name) => ({
    name,
    data: told.data.map((row) => (/Quantity|Cost|Price/.test(name) ? Number(row[name]) : (row[name] ?? ''))),
  }));
  writeFileSync(join(directory, 'focus.parquet'), Buffer.from(parquetWriteBuffer({ columnData })));
  assert.deepEqual(rounded((await read([join(directory, 'focus.parquet')])).billed), rounded(billed));
  const meter = focus.replaceAll(/arn:aws:ec2:[^,]*/g, '').replace(',EBS,', ',USW2-EBS:SnapshotArchiveStorage,');
  const archived = await read([writeBill(join(directory, 'meter.csv'), Buffer.from(meter))]);
  assert.deepEqual(
    archived.billed.snapshots.map(({ id, tier }) => [id, tier]),
    [['', 'archive']],
  );
  const cur = changed(csv('legacy', [SMALL], 'daily'), (row, at) => ({
    ...row,
    'lineItem/ProductCode': ['AmazonEC2', 'AmazonLightsail', 'AmazonEC2'][at] ?? '',
    'lineItem/UsageType': ['EBS:SnapshotUsage', 'USE1-SnapshotUsage', 'USW2-EBS:SnapshotOfTomorrow'][at] ?? '',
  }));
  const tomorrow = await read([writeBill(join(directory, 'cur.csv'), Buffer.from(cur))]);
  assert.deepEqual(
    tomorrow.billed.snapshots.map(({ id }) => id),
    [snapshotId(1)],
  );
  const [of] = tomorrow.facts;
  assert.deepEqual([of?.ofSnapshots, of?.broken, of?.unclear], [1, 0, 1]);
  assert.deepEqual(of?.examples, ['row 4: unknown usage type EBS:SnapshotOfTomorrow']);
  assert.equal(
    of?.charges.map(({ inReport, explained }) => (inReport - explained).toFixed(6)).join(),
    (0.05 / 30).toFixed(6),
  );
});

test('the charges for EBS snapshots are compared with the part that is understood', async (t) => {
  const directory = temporaryDirectory(t);
  const report = changed(csv('legacy', [{ ...SMALL, others: 6, until: 2 }], 'daily'), (row, at) => ({
    ...row,
    ...(row['lineItem/ResourceId']?.endsWith(snapshotId(3)) && at < 9 ? { 'lineItem/UsageAmount': 'much' } : {}),
  }));
  const { facts } = await read([writeBill(join(directory, 'r.csv'), Buffer.from(report))]);
  const [charges] = facts[0]?.charges ?? [];
  assert.ok(charges);
  const near = (value: number | undefined, expected: number) => assert.equal(value?.toFixed(9), expected.toFixed(9));
  near(charges.storage, (5 * 0.05) / 30);
  near(charges.inReport - charges.explained, 0.05 / 30);
  assert.deepEqual(
    charges.others.map(({ what, cost }) => [what, cost.toFixed(6)]),
    [
      ['EBS:directAPI.snapshot.Get', '0.024691'],
      ['EBS:SnapshotArchiveRetrieval', '0.024691'],
      ['Credit', '-0.020000'],
    ],
  );
  assert.deepEqual([facts[0]?.rows, facts[0]?.broken, facts[0]?.unclear], [18, 1, 0]);
});

test('UTF-16, macOS files in zip files, offsets of times and invalid dates', async (t) => {
  const directory = temporaryDirectory(t);
  const report = csv('legacy', [MONTH], 'daily');
  const expected = rounded((await read([writeBill(join(directory, 'plain.csv'), report)])).billed);
  const little = Buffer.from(report.toString(), 'utf16le');
  const big = Buffer.from(little).swap16();
  for (const [name, content] of [
    ['little.csv', Buffer.concat([Buffer.from([0xff, 0xfe]), little])],
    ['big.csv', Buffer.concat([Buffer.from([0xfe, 0xff]), big])],
    ['without-mark.csv.gz', little],
    ['big-without-mark.csv', big],
  ] as const) {
    for (const isStream of [false, true])
      assert.deepEqual(
        rounded((await read([writeBill(join(directory, name), content)], LATER, isStream)).billed),
        expected,
        name,
      );
  }
  const pack = [
    'import zipfile',
    'z = zipfile.ZipFile("mac.zip", "w")',
    'z.write("plain.csv", "folder/plain.csv")',
    'for name in "__MACOSX/folder/._plain.csv", "folder/.DS_Store", "folder/r-Manifest.json": z.writestr(name, b"\\0\\5\\x16\\7")',
  ];
  execFileSync('python3', ['-c', pack.join('\n')], { cwd: directory });
  assert.deepEqual(rounded((await read([join(directory, 'mac.zip')])).billed), expected);
  for (const zone of ['+00', '+0000', '-00:00', ' UTC', '']) {
    const moved = report.toString().replaceAll(/(\d\d:\d\d:\d\d)Z/g, `$1${zone}`);
    const { facts, billed } = await read([writeBill(join(directory, 'zone.csv'), Buffer.from(moved))]);
    assert.deepEqual([facts[0]?.broken, rounded(billed)], [0, expected], zone);
  }
  const wrong = report.toString().replaceAll('2026-09-30T00:00:00Z', '2026-09-31T00:00:00Z');
  const { facts } = await read([writeBill(join(directory, 'wrong.csv'), Buffer.from(wrong))]);
  assert.ok((facts[0]?.broken ?? 0) > 0);
  assert.match(facts[0]?.examples[0] ?? '', /is not the start of a period|is not a period/);
});

test('costs are the amounts paid: net of discounts if the report has them, never list prices', async (t) => {
  const directory = temporaryDirectory(t);
  const bill = async (text: string) => {
    const { facts, billed } = await read([writeBill(join(directory, 'r.csv'), Buffer.from(text))]);
    return { facts: facts[0], monthly: billed.snapshots[0]?.monthly ?? null };
  };
  const half = (text = '') => String(Number(text) / 2);
  const net = await bill(
    changed(csv('legacy', [SMALL], 'daily'), (row) => ({
      ...row,
      'lineItem/NetUnblendedCost': half(row['lineItem/UnblendedCost']),
    })),
  );
  assert.equal(net.monthly?.toFixed(6), '0.025000');
  const empty = await bill(
    changed(csv('legacy', [SMALL], 'daily'), (row) => ({ ...row, 'lineItem/NetUnblendedCost': '' })),
  );
  assert.equal(empty.monthly?.toFixed(6), '0.050000');
  const listed = await bill(
    changed(csv('focus-1.0', [SMALL], 'daily'), ({ BilledCost: _, ...row }) => ({ ...row, ListCost: '7' })),
  );
  assert.deepEqual([listed.monthly, listed.facts?.hasCosts, listed.facts?.charges], [null, false, []]);
});
