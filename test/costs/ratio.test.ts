/** `analyze --ratio-from` measures the compression ratio of existing archives. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import Papa from 'papaparse';
import type { Manifest } from '../../src/archive/manifest.ts';
import type { Analysis, VolumeAnalysis } from '../../src/costs/analysis.ts';
import { keysIn } from '../support/archives.ts';
import { near } from '../support/costs/analyses.ts';
import { csv, line, snapshotId, writeBill } from '../support/costs/bills.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, runCli, runMigrate, type TestLab } from '../support/lab.ts';

const GIB = 2 ** 30;

const put = (lab: TestLab, Key: string, Body: Buffer | string, Bucket = BUCKET) =>
  lab.s3.send(new PutObjectCommand({ Bucket, Key, Body }));

/** Returns the manifests that the program wrote, by snapshot. */
async function manifestsIn(lab: TestLab): Promise<Map<string, Manifest>> {
  const keys = (await keysIn(lab)).filter((key) => key.endsWith('.manifest.json'));
  const texts = await Promise.all(
    keys.map(async (Key) =>
      (await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }))).Body?.transformToString(),
    ),
  );
  return new Map(texts.map((text) => JSON.parse(text ?? '') as Manifest).map((found) => [found.snapshot.id, found]));
}

const bytesOf = ({ objects }: Manifest, what: 'plainBytes' | 'storedBytes') =>
  objects.reduce((sum, object) => sum + object[what], 0);

/** Writes a report of snapshots of 10 GiB. */
function reportOf(lab: TestLab, ids: readonly string[]): string {
  const snapshots = ids.map((id) => line(id, 10 * 2048, { region: 'us-east-1' }));
  const report = csv('legacy', [{ month: '2026-09', others: 0, snapshots }], 'daily');
  return writeBill(join(lab.directory, 'r.csv'), report);
}

const analyze = (lab: TestLab, argv: readonly string[], input?: string) =>
  runCli(lab.env, ['analyze', ...argv], input === undefined ? {} : { input });

async function analyzed(lab: TestLab, argv: readonly string[]): Promise<Analysis> {
  const done = await analyze(lab, ['--json', ...argv]);
  assert.equal(done.code, 0, done.stderr);
  return JSON.parse(done.stdout) as Analysis;
}

/** Returns the estimated size of full archives of the volume in STANDARD. */
const storedGiB = ({ decision }: VolumeAnalysis) =>
  decision?.choices.find(({ storageClass, form }) => storageClass === 'STANDARD' && form === 'full')?.storedGiB;

interface Made {
  volume: string;
  prefix?: string;
  plain: number;
  stored: number;
  layout?: 'tar' | 'image';
  /** The size of the snapshot's data in the manifest. If it is undefined, the manifest has no such field. */
  written?: number | null;
}

/** Adds an archive to the bucket: an object of `stored` bytes, and a manifest. @returns the key of the object. */
async function addArchive(lab: TestLab, number: number, made: Made): Promise<string> {
  const { volume, prefix = '', plain, stored, layout = 'tar', written } = made;
  const id = snapshotId(number);
  const stem = `${prefix}${volume}/2026-01-01T00:00:00+00:00 ${id}`;
  const key = `${stem}.${layout === 'tar' ? 'tar' : 'img'}.lz4`;
  const content = Buffer.alloc(stored);
  const object = {
    key,
    partition: null,
    layout,
    codec: 'lz4',
    cipher: 'none',
    plainBytes: plain,
    storedBytes: stored,
    etag: `"${createHash('md5').update(content).digest('hex')}"`,
  };
  const snapshot = {
    id,
    sizeGiB: 1,
    description: '',
    tags: {},
    ...(written === undefined ? {} : { dataBytes: written }),
  };
  await put(lab, key, content);
  await put(
    lab,
    `${stem}.manifest.json`,
    JSON.stringify({ format: 1, snapshot, disk: {}, objects: [object], recorded: [] }),
  );
  return key;
}

const [FIRST, SECOND] = ['vol-0123456789abcdef1', 'vol-0123456789abcdef2'];

test('the ratio of tars counts files, that of images counts written blocks; volumes use their own archives', async (t) => {
  const lab = await labForTest(t);
  const [asTar, asImage] = [await addSnapshotOf(lab), await addSnapshotOf(lab)];
  assert.equal((await runMigrate(lab, ['--snapshots', asTar.snapshotId])).code, 0);
  const direct = ['--dd', '--source', 'direct'];
  assert.equal((await runMigrate(lab, ['--snapshots', asImage.snapshotId, ...direct])).code, 0);
  const manifests = await manifestsIn(lab);
  const [tar, image] = [asTar, asImage].map((disk) => manifests.get(disk.snapshotId));
  assert.ok(tar && image);
  const written = image.snapshot.dataBytes ?? 0;
  assert.ok(written > 0 && written < bytesOf(image, 'plainBytes'), 'a disk of which a part was written');
  const next = { startTime: '2026-01-01T00:00:00Z', sizeGiB: 20, dataBytes: 10 * GIB };
  const later = [asTar.volumeId, asImage.volumeId, 'vol-0123456789abcdef0'].map((volumeId) =>
    lab.control.addSnapshot({ ...next, volumeId }),
  );
  const path = reportOf(
    lab,
    (await Promise.all(later)).map((snapshot) => snapshot.snapshotId),
  );
  const [table, page] = [join(lab.directory, 't.csv'), join(lab.directory, 'p.html')];
  const measured = ['--ratio-from', BUCKET];
  const { assumptions, regions, warnings } = await analyzed(lab, [path, ...measured, '--csv', table, '--html', page]);
  const ratios = {
    tar: bytesOf(tar, 'plainBytes') / bytesOf(tar, 'storedBytes'),
    image: written / bytesOf(image, 'storedBytes'),
    all: (bytesOf(tar, 'plainBytes') + written) / (bytesOf(tar, 'storedBytes') + bytesOf(image, 'storedBytes')),
  };
  near(assumptions.compression, ratios.all);
  assert.deepEqual(
    { ...assumptions, compression: 0 },
    {
      ...{ compression: 0, compressionIs: 'measured', reading: 'direct', keepMonths: 12 },
      change: { percent: 5, is: 'assumed' },
      measuredOn: { bucket: BUCKET, prefix: '', archives: 2 },
    },
  );
  assert.deepEqual(
    warnings.filter(({ code }) => code === 'archives-not-measured'),
    [],
  );
  const volume = (id: string) => {
    const found = regions[0]?.volumes.find((candidate) => candidate.id === id);
    assert.ok(found);
    return found;
  };
  const other = volume('vol-0123456789abcdef0');
  for (const [found, ratio] of [
    [volume(asTar.volumeId), ratios.tar],
    [volume(asImage.volumeId), ratios.image],
  ] as const) {
    near(found.measured?.compression, ratio);
    assert.equal(found.measured?.archives, 1);
    near(storedGiB(found), 10 / ratio);
  }
  assert.equal(other.measured, null);
  near(storedGiB(other), 10 / ratios.all);

  const { data } = Papa.parse<Record<string, string>>(readFileSync(table, 'utf8').trim(), { header: true });
  const rowOf = (id: string) => {
    const row = data.find((candidate) => candidate['volume'] === id);
    return [Number(row?.['compression']), row?.['compression_is'], row?.['compression_archives']];
  };
  assert.deepEqual(rowOf(asTar.volumeId), [ratios.tar, 'measured-of-volume', '1']);
  assert.deepEqual(rowOf('vol-0123456789abcdef0'), [ratios.all, 'measured', '2']);
  assert.match(
    readFileSync(page, 'utf8'),
    /Archives compress [\d.]+:1 \(measured on 2 archives in s3:\/\/backups\/\)\. For 2 volumes, the ratio of their own archives is used\./,
  );
  const text = await analyze(lab, [path, ...measured]);
  const said = `${Number(ratios.all.toPrecision(3))}:1`;
  assert.ok(
    text.stdout.includes(`compressed ${said} (measured on 2 archives; own ratio for 2 volumes) and`),
    text.stdout,
  );
  assert.ok(text.stderr.includes(`s3://backups/: ${said}, measured on 2 archives`), text.stderr);

  const calls = (await lab.control.calls()).length;
  const offline = await analyzed(lab, [path, ...measured, '--offline']);
  near(offline.assumptions.compression, ratios.all);
  const asked = (await lab.control.calls()).slice(calls);
  assert.deepEqual(new Set(asked.map(({ service }) => service)), new Set(['s3']));
  assert.ok(
    asked.every(
      ({ operation, details }) => operation === 'ListObjectsV2' || /\.manifest\.json$/.test(details['key'] ?? ''),
    ),
    JSON.stringify(asked),
  );
});

test('unmeasurable archives are counted and reported; if all are, no report is read', async (t) => {
  const lab = await labForTest(t);
  await lab.control.addBucket('empty');
  const path = reportOf(lab, [snapshotId(1)]);
  await addArchive(lab, 1, { volume: FIRST, plain: 3000, stored: 1000, written: 4000 });
  await addArchive(lab, 2, { volume: FIRST, plain: 5000, stored: 1000, written: null });
  await addArchive(lab, 3, { volume: SECOND, plain: 2 ** 30, stored: 1000, written: 2000, layout: 'image' });
  await addArchive(lab, 4, { volume: 'vol-ffffffff', plain: 9000, stored: 1000 });
  // None of these objects counts.
  await addArchive(lab, 5, { volume: SECOND, plain: 2 ** 40, stored: 1000, layout: 'image' });
  await put(lab, await addArchive(lab, 6, { volume: SECOND, plain: 2 ** 40, stored: 1000 }), 'of another length');
  const broken = await addArchive(lab, 7, { volume: SECOND, plain: 2 ** 40, stored: 1000 });
  await put(lab, broken.replace('.tar.lz4', '.manifest.json'), '{"format":1,');
  await put(lab, `${SECOND}/2017-06-30T22:00:00-04:00 ${snapshotId(8)} - a disk.p2.tar.zstd`, 'of version 0');
  await addArchive(lab, 9, { volume: FIRST, plain: 7000, stored: 1000, prefix: 'team/' });
  await put(lab, `v0/${SECOND}/2017-06-30T22:00:00-04:00 ${snapshotId(8)}.tar.lz4`, 'of version 0');
  await put(lab, 'notes', 'of no archive');

  const { assumptions, warnings } = await analyzed(lab, [path, '--offline', '--ratio-from', BUCKET]);
  assert.deepEqual(
    [assumptions.compression, assumptions.measuredOn?.archives],
    [(3000 + 5000 + 2000 + 9000) / 4000, 4],
  );
  assert.deepEqual(
    warnings.filter(({ code }) => code === 'archives-not-measured').map(({ text }) => text),
    [
      '4 of 8 archives in s3://backups/ could not be measured: ' +
        'image without a record of the written bytes (1), incomplete (1), no manifest (1), unreadable manifest (1)',
    ],
  );
  const team = await analyzed(lab, [path, '--offline', '--ratio-from', BUCKET, '--prefix', '/team']);
  assert.deepEqual(team.assumptions.measuredOn, { bucket: BUCKET, prefix: 'team/', archives: 1 });
  assert.equal(team.assumptions.compression, 7);

  for (const [argv, code, message] of [
    [['--ratio-from', 'empty'], 2, /there are no archives in s3:\/\/empty\/ .*\n.*check --ratio-from and --prefix/],
    [['--ratio-from', BUCKET, '--prefix', 'elsewhere'], 2, /no archives in s3:\/\/backups\/elsewhere\//],
    [['--ratio-from', BUCKET, '--prefix', 'v0'], 2, /v0\/ can be measured: no manifest \(1\)/],
    [['--ratio-from', 'missing'], 1, /BUCKET/],
    [['--ratio-from', 'Bucket'], 2, /must be a bucket name/],
    [['--ratio-from', BUCKET, '--ratio', '2'], 2, /cannot be used with/],
    [['--prefix', 'team'], 2, /--prefix needs --ratio-from/],
  ] as const) {
    // Standard input is not a report. Reading it would lead to another error.
    const refused = await analyze(lab, ['-', '--offline', ...argv], 'no report');
    assert.equal(refused.code, code, refused.stderr);
    assert.match(refused.stderr, message);
    assert.doesNotMatch(refused.stderr, /is not a cost report|^ +at /m);
  }
});

test('the output says whether the ratio was given or assumed; --live measures it, too', async (t) => {
  const lab = await labForTest(t);
  await lab.control.addSnapshot({ sizeGiB: 10, dataBytes: 4 * GIB, volumeId: FIRST });
  await addArchive(lab, 1, { volume: FIRST, plain: 2500, stored: 1000 });
  const live = ['--live', '--regions', 'us-east-1'];
  const [table, page] = [join(lab.directory, 't.csv'), join(lab.directory, 'p.html')];
  for (const [argv, text, inTable, onPage] of [
    [
      [],
      /read through the EBS direct APIs, compressed 2:1 \(assumed\) and kept for 12 months:/,
      /,2,assumed,,,,,$/m,
      /compress 2:1 \(assumed\)\. To measure/,
    ],
    [
      ['--ratio', '1.8', '--source', 'volume', '--volume-type', 'gp2'],
      /read from gp2 volumes, compressed 1\.8:1 \(given\) and/,
      /,1\.8,given,,,,,$/m,
      /compress 1\.8:1 \(given with --ratio\)\.[\s\S]*temporary gp2 volumes/,
    ],
    [
      ['--ratio-from', BUCKET],
      /compressed 2\.5:1 \(measured on 1 archive; own ratio for 1 volume\) and/,
      /,2\.5,measured-of-volume,1,,,,$/m,
      /measured on 1 archive in s3:\/\/backups\/\)\. For 1 volume, the ratio of its own archives is used\./,
    ],
  ] as const) {
    const done = await analyze(lab, [...live, ...argv, '--csv', table, '--html', page]);
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, text);
    assert.match(readFileSync(table, 'utf8'), inTable);
    assert.match(readFileSync(page, 'utf8'), onPage);
  }
});
