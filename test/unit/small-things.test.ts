/** Units, device names, compressor reports, retries of waiting: pure parts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readCounts } from '../../src/archive/codec.ts';
import { parseKey } from '../../src/archive/key.ts';
import { readTarTotal, tellsOfSocket, troubleOf } from '../../src/archive/tar.ts';
import { date } from '../../src/cli/flag-values.ts';
import { rewriteAncestorGrammar } from '../../src/cli/legacy-grammar.ts';
import { SnapError } from '../../src/errors.ts';
import { freeDeviceNames } from '../../src/host/devices/device-names.ts';
import { treatmentOf } from '../../src/host/filesystems/filesystems.ts';
import { looksPartitioned } from '../../src/host/filesystems/first-sector.ts';
import { rootFailure } from '../../src/lib/disposal.ts';
import { parseInstant } from '../../src/lib/instant.ts';
import { printable } from '../../src/lib/printable.ts';
import { formatBytes, formatDollars, formatDuration, GiB, KiB } from '../../src/lib/units.ts';
import { waitFor } from '../../src/lib/wait.ts';

test('sizes', () => {
  assert.deepEqual([0, 1023, KiB, 1536, 10 * KiB, 1024 * KiB - 1, GiB, 2.5 * GiB].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.00 KiB',
    '1.50 KiB',
    '10.0 KiB',
    '1.00 MiB',
    '1.00 GiB',
    '2.50 GiB',
  ]);
});

test('durations', () => {
  assert.deepEqual([0, 59.4, 61, 3725, 90_000].map(formatDuration), [
    '0 s',
    '59 s',
    '1 min 01 s',
    '1 h 02 min',
    '1 d 01 h',
  ]);
});

test('dollars: small amounts are not nothing', () => {
  assert.deepEqual([0, 0.00123, 0.5, 12.345].map(formatDollars), ['$0.00', '$0.0012', '$0.50', '$12.35']);
  assert.deepEqual([6.5e-9, 0.000123, 0.0099, 0.01].map(formatDollars), ['<$0.0001', '$0.00012', '$0.0099', '$0.01']);
});

test('dates are UTC unless they have an offset, whatever the time zone of the machine, and exist', () => {
  const zone = process.env['TZ'];
  process.env['TZ'] = 'America/New_York';
  try {
    for (const text of ['2026-01-31T10:00', '2026-01-31 10:00:00+00', '2026-01-31T05:00-05:00', '2026-01-31T10:00Z'])
      assert.equal(date(text).toISOString(), '2026-01-31T10:00:00.000Z', text);
    assert.equal(date('2026-01-31').toISOString(), '2026-01-31T00:00:00.000Z');
    assert.equal(date('2024-02-29').toISOString(), '2024-02-29T00:00:00.000Z');
  } finally {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  }
  for (const text of [
    '2026-02-30',
    '2026-02-29',
    '2026-13-01',
    '2026-01-31T24:00',
    '2026-01-31x',
    '2026',
    'today',
    '2026-1-3',
  ])
    assert.throws(() => date(text), /must be a date/, text);
  fc.assert(
    fc.property(
      fc.date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
      (instant) => {
        assert.equal(parseInstant(instant.toISOString()), instant.getTime());
      },
    ),
  );
  assert.equal(parseKey('vol-01/2017-02-30T00:00:00+00:00 snap-01.tar.lz4'), null);
});

test('what the compressors say of their work', () => {
  assert.deepEqual(readCounts('lz4', 'x\nCompressed 1234 bytes into 567 bytes ==> 45.95%\n'), {
    plainBytes: 1234,
    storedBytes: 567,
  });
  assert.deepEqual(readCounts('zstd', '/*stdin*\\            : 28.61%   (  1234 B =>    353 B, /*stdout*\\) \n'), {
    plainBytes: 1234,
    storedBytes: 353,
  });
  assert.equal(readCounts('zstd', '/*stdin*\\ : 28.61%   (  1.2 GiB =>    353 MiB, /*stdout*\\)'), null);
  assert.equal(readCounts('lz4', 'Error 31'), null);
});

test('what tar says of its own', () => {
  assert.equal(readTarTotal('tar: x\nTotal bytes written: 30003200 (29MiB, 129GiB/s)\n'), 30_003_200);
  assert.equal(readTarTotal('tar: x'), null);
  assert.ok(tellsOfSocket('tar: ./run/log: socket ignored'));
  assert.ok(!tellsOfSocket('tar: ./socket ignored: file changed as we read it'));
  const stat = { path: './a', reason: 'Cannot stat: Bad message' };
  assert.deepEqual(troubleOf('tar: ./a: Cannot stat: Bad message'), stat);
  assert.equal(troubleOf('tar: .: Cannot savedir: Input/output error')?.path, '.');
  assert.equal(troubleOf('tar: a b: Warning: Cannot llistxattrat: Input/output error')?.path, 'a b');
  const none = 'tar: a b: Warning: Cannot llistxattrat: Operation not supported';
  for (const line of [
    none,
    'tar: ./run/log: socket ignored',
    'tar: -: Cannot write: Broken pipe',
    'tar: memory exhausted',
  ])
    assert.equal(troubleOf(line), null, line);
});

test('free device names: EC2’s and this machine’s own are left out', () => {
  const names = freeDeviceNames(['/dev/sda1', '/dev/xvdf', '/dev/sdg1', 'sdh'], (path) => path === '/dev/xvdi');
  assert.equal(names[0], '/dev/sdj');
  assert.ok(!names.includes('/dev/sdf') && !names.includes('/dev/sdi'));
  assert.equal(freeDeviceNames([], () => true).length, 0);
});

test('what becomes of a partition', () => {
  const probe = { tableType: null, uuid: null, label: null };
  assert.deepEqual(treatmentOf({ ...probe, type: 'ext4', usage: 'filesystem' }), { how: 'mount', type: 'ext4' });
  assert.equal(treatmentOf({ ...probe, type: 'swap', usage: 'other' }).how, 'record');
  assert.equal(treatmentOf({ ...probe, type: 'crypto_LUKS', usage: 'crypto' }).how, 'raw');
  assert.equal(treatmentOf({ ...probe, type: null, usage: null }).how, 'raw');
});

test('what can be read in two ways is neither mounted nor left out', () => {
  const table = { tableType: 'dos', isContradictory: true };
  for (const found of [
    { type: 'ext4', usage: 'filesystem', ...table },
    { type: 'swap', usage: 'other', ...table },
    { type: null, usage: null, tableType: null, isContradictory: true },
  ])
    assert.match(JSON.stringify(treatmentOf(found)), /"how":"raw".*can be read in (two|several) ways/);
  assert.match(JSON.stringify(treatmentOf({ type: null, usage: null, tableType: 'gpt' })), /raw.*partition table/);
});

test('a table of partitions is told from a boot sector that ends like one', () => {
  const entry = (at: number, bytes: number[]) => (sector: Buffer) =>
    void Buffer.from(bytes).copy(sector, 446 + 16 * at);
  const sectorWith = (...changes: ((sector: Buffer) => void)[]): Buffer => {
    const sector = Buffer.alloc(512);
    sector.writeUInt16LE(0xaa55, 510);
    for (const change of changes) change(sector);
    return sector;
  };
  const linux = [0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0];
  const beyond = [...linux.slice(0, 8), 0, 0, 0, 1, 0, 0, 1, 0];
  const isTable = (sector: Buffer) => looksPartitioned(sector, 262_144);
  assert.ok(isTable(sectorWith(entry(0, linux))));
  assert.ok(isTable(sectorWith(entry(3, linux))), 'the first entries can be free');
  assert.ok(!isTable(sectorWith()), 'GRUB in a partition leaves the table empty');
  assert.ok(!isTable(sectorWith((sector) => sector.write('Press Ctrl+Alt+Del to restart', 446))));
  assert.ok(!isTable(sectorWith(entry(0, linux), entry(1, [0x20]))), 'no status is 0x20');
  assert.ok(!isTable(sectorWith(entry(0, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]))), 'hybrid ISO images');
  assert.ok(!isTable(sectorWith(entry(0, beyond))), 'beyond the end');
  assert.ok(isTable(sectorWith(entry(0, linux), entry(1, beyond))), 'one partition too many does not undo the others');
  assert.ok(!isTable(sectorWith(entry(0, linux), (sector) => sector.writeUInt16LE(0, 510))));
});

test('the grammar of version 0 becomes today’s', () => {
  for (const [old, today] of [
    ['--migrate --all --bucket b', 'migrate --all --bucket b'],
    ['--all --bucket b --migrate', 'migrate --all --bucket b'],
    ['--migrate --validate --all', 'migrate --validate --all'],
    ['--validate --one --bucket b', 'validate --one --bucket b'],
    ['--analyze=costs.csv', 'analyze costs.csv'],
    ['--analyze costs.csv', 'analyze costs.csv'],
    ['migrate --all', 'migrate --all'],
    ['--help', '--help'],
    ['', ''],
  ] as const) {
    assert.deepEqual(rewriteAncestorGrammar(old.split(' ').filter(Boolean)), today.split(' ').filter(Boolean));
  }
});

test('waiting tells what it has seen', async () => {
  let looks = 0;
  const look = async () => ({ verdict: 'again' as const, value: 0, seen: looks++ < 2 ? 'creating' : 'not found' });
  const options = {
    what: 'vol-1',
    within: 1500,
    firstPause: 20,
    longestPause: 20,
    signal: new AbortController().signal,
  };
  await assert.rejects(waitFor(look, options), (error: SnapError) => {
    assert.equal(error.code, 'WAIT_TIMEOUT');
    return /creating ×2, not found ×\d+/.test(error.message);
  });
});

test('waiting hears cancellation', async () => {
  const controller = new AbortController();
  const look = async () => {
    controller.abort(new Error('enough'));
    return { verdict: 'again' as const, value: 0, seen: 'x' };
  };
  await assert.rejects(waitFor(look, { what: 'x', within: 60_000, signal: controller.signal }), /enough/);
});

test('the first failure comes out of however many clean-ups failed after it', () => {
  const cleanups = [new SnapError('CLEANUP_FAILED', 'one'), new SnapError('CLEANUP_FAILED', 'two')];
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 }), (count) => {
      const failure = new Error('cause');
      let thrown: unknown = failure;
      for (const cleanup of cleanups.slice(0, count)) thrown = new SuppressedError(cleanup, thrown);
      const found = rootFailure(thrown);
      assert.equal(found.failure, failure);
      assert.equal(found.cleanupFailures.length, count);
    }),
  );
});

test('names of any bytes are shown safely, and no two alike', () => {
  assert.equal(printable('größe/日本 🦊.txt'), 'größe/日本 🦊.txt');
  assert.equal(printable('a\nb\x1b[31m\\'), 'a\\x0ab\\x1b[31m\\\\');
  assert.equal(printable(Buffer.from([0x41, 0xff, 0xc3, 0x42, 0xe2, 0x80])), 'A\\xff\\xc3B\\xe2\\x80');
  assert.equal(printable('\u202etxt.exe'), '\\xe2\\x80\\xaetxt.exe');
  const bytes = fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array));
  const undo = (shown: string): Buffer =>
    Buffer.concat(
      [...shown.matchAll(/\\\\|\\x(..)|[^\\]/gu)].map(([whole, hex]) =>
        hex === undefined ? Buffer.from(whole === '\\\\' ? '\\' : whole) : Buffer.from(hex, 'hex'),
      ),
    );
  fc.assert(
    fc.property(bytes, (name) => {
      const shown = printable(name);
      assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      assert.deepEqual(undo(shown), name);
    }),
  );
});
