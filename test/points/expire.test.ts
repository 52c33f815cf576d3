/** Archives expire in two steps, and nothing that a kept one needs is ever removed. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { enableObjectLock, keyEnding, keysIn, putClaim } from '../support/archives.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { archivedLineage, INCREMENTAL } from '../support/lineages/archived-lineage.ts';
import { type LineageSnapshot, makeLineage } from '../support/lineages/lineage.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';

const DAY = 86_400_000;

const inDays = (days: number) => new Date(Date.now() + days * DAY);

/** The client of the test follows the clock after one failure. */
async function setClock(lab: TestLab, days: number) {
  await lab.control.setClock(inDays(days));
  await keysIn(lab).catch(() => {});
}

const runExpire = (lab: TestLab, argv: readonly string[]) =>
  runCli(lab.env, ['expire', '--bucket', BUCKET, '--json', ...argv]);

interface Planned {
  snapshot: string;
  decision: string;
  reasons: string[];
  dueAt: string | null;
  neededBy: string[];
  frees: { objects: number; bytes: number; earlyDollars: number };
}

async function planned(lab: TestLab, argv: readonly string[]): Promise<Planned[]> {
  const done = await runExpire(lab, argv);
  assert.ok([0, 10].includes(done.code ?? -1), done.stdout + done.stderr);
  return recordsOf(done).flatMap(({ code, expiry }) => (code === 'expiry.planned' ? [expiry as Planned] : []));
}

async function codesOf(lab: TestLab, argv: readonly string[]): Promise<string[]> {
  const done = await runExpire(lab, argv);
  assert.ok([0, 10].includes(done.code ?? -1), done.stdout + done.stderr);
  return recordsOf(done)
    .map(({ code, snapshot }) => `${code} ${snapshot}`)
    .filter((code) => /^expiry\.(?!planned)/.test(code));
}

async function assertRestored(lab: TestLab, { snapshotId, image }: LineageSnapshot) {
  const file = join(lab.directory, `${snapshotId}.restored`);
  const done = await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--to-file', file]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await assertSameBytes(file, image);
  rmSync(file);
}

const idsOf = (points: readonly LineageSnapshot[]) =>
  points.map(({ snapshotId }) => snapshotId) as [string, string, string];

const keysOf = async (lab: TestLab, id: string) =>
  (await keysIn(lab))
    .filter((key) => key.includes(id))
    .map((key) => key.replace(/^.*snap-[0-9a-f]+\.([0-9a-f]{8}\.)?/, ''));

/** Marks what no rule keeps, and lets the period of grace pass. */
async function markAndWait(lab: TestLab, argv: readonly string[]) {
  await runExpire(lab, [...argv, '--yes']);
  await setClock(lab, 8);
}

test('the plan shows reasons, what stays because others need it, and what the removal frees; it changes nothing', async (t) => {
  const { lab, points } = await archivedLineage(t, ['--storage-class', 'DEEP_ARCHIVE']);
  const [first, second, third] = idsOf(points);
  const before = await keysIn(lab);
  const plan = await planned(lab, ['--keep-last', '1']);
  assert.deepEqual(
    plan.map(({ snapshot, decision, reasons, neededBy, dueAt }) => [snapshot, decision, reasons, neededBy, dueAt]),
    [
      [first, 'expire', [], [third], null],
      [second, 'expire', [], [third], null],
      [third, 'keep', ['the latest of its volume', 'last (1 of 1)'], [], null],
    ],
  );
  assert.deepEqual(
    plan.map(({ frees }) => frees.objects),
    [1, 1, 0],
  );
  const text = await runCli(lab.env, ['expire', '--bucket', BUCKET, '--keep-last', '1']);
  assert.match(text.stdout, RegExp(`${first}: .* expire +no rule keeps it; frees .*; ${third} needs its packs`));
  assert.match(text.stdout, /1 archive kept, 2 to expire, 0 left alone; .*--yes marks them/);
  assert.deepEqual(await keysIn(lab), before);
});

test('archives are marked, then removed after the period of grace; packs that a kept point needs stay', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first, second] = idsOf(points);
  assert.deepEqual(await codesOf(lab, ['--keep-last', '1', '--yes']), [
    `expiry.marked ${first}`,
    `expiry.marked ${second}`,
  ]);
  const list = await runCli(lab.env, ['list', '--bucket', BUCKET]);
  assert.equal(list.stdout.match(/expiring/g)?.length, 2, list.stdout);
  for (const point of points) await assertRestored(lab, point);
  await setClock(lab, 6.9);
  assert.deepEqual(await codesOf(lab, ['--keep-last', '1', '--yes']), []);
  await setClock(lab, 7.1);
  assert.deepEqual(await codesOf(lab, ['--keep-last', '1', '--yes']), [
    `expiry.removed ${first}`,
    `expiry.removed ${second}`,
  ]);
  assert.deepEqual(await keysOf(lab, first), ['blocks.zst', 'pack.0001.lz4', 'manifest.json']);
  await assertRestored(lab, points[2] as LineageSnapshot);
  for (const argv of [
    ['restore', first, '--to-file', join(lab.directory, 'x')],
    ['validate', '--archive-only', '--snapshots', first],
  ]) {
    const gone = await runCli(lab.env, [...argv, '--bucket', BUCKET]);
    assert.match(gone.stdout + gone.stderr, /the archive of snap-\w+ has expired/);
    assert.notEqual(gone.code, 0);
  }
  const migrated = await runMigrate(lab, ['--snapshots', first, '--incremental', '--source', 'direct']);
  assert.match(migrated.stderr, /has expired/);
  assert.match((await runCli(lab.env, ['list', '--bucket', BUCKET])).stdout, /expired/);
  const drill = await runCli(lab.env, [
    'drill',
    '--sample',
    '9',
    '--scratch',
    lab.directory,
    '--bucket',
    BUCKET,
    '--json',
  ]);
  assert.equal(drill.code, 0, drill.stdout + drill.stderr);
  const [chosen] = recordsOf(drill).filter(({ code }) => code === 'drill.chosen');
  assert.deepEqual(chosen?.['snapshots'], [points[2]?.snapshotId]);
});

/** Archives one more snapshot of the volume as a base. */
async function addBase(lab: TestLab, points: readonly LineageSnapshot[]): Promise<LineageSnapshot[]> {
  const more = await makeLineage(lab, [{ write: [7] }], {
    volumeId: points[0]?.volumeId ?? '',
    startTime: '2026-02-01T00:00:00Z',
    tags: { 'snap-to-s3': 'migrate' },
  });
  const done = await runMigrate(lab, [...INCREMENTAL, '--base-every', '1']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  return more;
}

test('when no point needs the packs of an expired one any more, everything of it is removed', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const more = await addBase(lab, points);
  await markAndWait(lab, ['--keep-last', '1']);
  await codesOf(lab, ['--keep-last', '1', '--yes']);
  for (const { snapshotId } of points) assert.deepEqual(await keysOf(lab, snapshotId), []);
  await assertRestored(lab, more[0] as LineageSnapshot);
  assert.deepEqual(
    (await keysIn(lab)).filter((key) => key.includes('.snap-to-s3/')),
    [],
  );
});

test('a point that is marked keeps the packs that it needs until it has expired itself', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first, second] = idsOf(points);
  assert.deepEqual(await codesOf(lab, ['--keep-last', '2', '--yes']), [`expiry.marked ${first}`]);
  await setClock(lab, 5);
  const more = await addBase(lab, points);
  assert.equal((await codesOf(lab, ['--keep-last', '1', '--yes'])).length, 2);
  await setClock(lab, 8);
  assert.deepEqual(await codesOf(lab, ['--keep-last', '1', '--yes']), [`expiry.removed ${first}`]);
  for (const point of [...points.slice(1), ...more]) await assertRestored(lab, point);
  assert.ok((await keysOf(lab, first)).includes('pack.0001.lz4'));
  await setClock(lab, 13);
  assert.ok((await codesOf(lab, ['--keep-last', '1', '--yes'])).includes(`expiry.removed ${second}`));
  for (const { snapshotId } of points) assert.deepEqual(await keysOf(lab, snapshotId), []);
});

test('a rule that keeps a marked archive again removes its mark', async (t) => {
  const { lab, points } = await archivedLineage(t);
  await markAndWait(lab, ['--keep-last', '2']);
  assert.deepEqual(await codesOf(lab, ['--keep-last', '3', '--yes']), [`expiry.unmarked ${points[0]?.snapshotId}`]);
  for (const point of points) await assertRestored(lab, point);
  assert.deepEqual(await codesOf(lab, ['--keep-last', '2', '--yes']), [`expiry.marked ${points[0]?.snapshotId}`]);
});

test('a point does not continue a marked one', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [, second, third] = idsOf(points);
  const manifest = await keyEnding(lab, `${third}.manifest.json`);
  const content = JSON.parse((await bytesOf(lab, manifest)).toString());
  const expiry = { state: 'expiring', markedAt: new Date().toISOString() };
  await replaceObject(lab, manifest, Buffer.from(JSON.stringify({ ...content, expiry })));
  const fixture = { volumeId: points[0]?.volumeId ?? '', tags: { 'snap-to-s3': 'migrate' } };
  await makeLineage(lab, [{ write: [1, 9] }], { ...fixture, startTime: '2026-02-01T00:00:00Z' });
  const done = await runMigrate(lab, INCREMENTAL);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const plan = recordsOf(done).find(({ code }) => code === 'point.planned');
  assert.equal(plan?.['parent'], second);
});

test('a damaged archive is left alone, and does not take the place of an intact one', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first, second, third] = idsOf(points);
  const pack = (await keysIn(lab)).find((key) => key.includes(second) && key.includes('.pack.')) ?? '';
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: pack }));
  const plan = await planned(lab, ['--keep-last', '1']);
  assert.deepEqual(
    plan.map(({ snapshot, decision, reasons }) => [snapshot, decision, reasons[0]]),
    [
      [first, 'keep', 'the latest of its volume'],
      [second, 'not-judged', 'the archive is incomplete'],
      [third, 'not-judged', `it needs packs of ${second}, which are not complete`],
    ],
  );
});

test('nothing of a volume is removed while a manifest cannot be read', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first, second] = idsOf(points);
  await markAndWait(lab, ['--keep-last', '1']);
  await replaceObject(lab, await keyEnding(lab, `${second}.manifest.json`), Buffer.from('{'));
  const before = await keysIn(lab);
  const done = await runExpire(lab, ['--keep-last', '1', '--yes']);
  assert.equal(done.code, 1, done.stdout + done.stderr);
  assert.match(done.stdout, RegExp(`nothing of vol-\\w+ is removed: the manifest of ${second} cannot be read`));
  assert.deepEqual(await keysIn(lab), before);
  assert.ok(before.some((key) => key.includes(first)));
});

test('full archives expire, too, and the charge for an early removal is shown', async (t) => {
  const { lab, points } = await archivedWhole(t);
  const [first, second] = idsOf(points);
  const plan = await planned(lab, ['--keep-last', '1']);
  assert.deepEqual(
    plan.map(({ snapshot, decision }) => [snapshot, decision]),
    [
      [first, 'expire'],
      [second, 'keep'],
    ],
  );
  assert.equal(plan[0]?.frees.objects, 2);
  assert.ok((plan[0]?.frees.earlyDollars ?? 0) > 0);
  await markAndWait(lab, ['--keep-last', '1']);
  assert.deepEqual(await codesOf(lab, ['--keep-last', '1', '--yes']), [`expiry.removed ${first}`]);
  assert.deepEqual(await keysOf(lab, first), []);
  assert.equal((await keysOf(lab, second)).length, 3);
});

async function archivedWhole(t: TestContext) {
  const { lab } = await archivedLineage(t);
  for (const key of await keysIn(lab)) await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
  const points = await makeLineage(lab, [{ write: [0, 1, 2] }, { write: [1, 5] }]);
  const ids = points.map(({ snapshotId }) => snapshotId);
  const flags = ['--dd', '--source', 'direct', '--storage-class', 'DEEP_ARCHIVE'];
  const done = await runMigrate(lab, ['--snapshots', ...ids, ...flags]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  return { lab, points };
}

test('a restore that waits for a thaw protects its archive until the pin expires', async (t) => {
  const { lab, points } = await archivedLineage(t, ['--storage-class', 'DEEP_ARCHIVE']);
  const [first] = idsOf(points);
  await markAndWait(lab, ['--keep-last', '1']);
  const file = join(lab.directory, 'disk');
  const restore = ['restore', first, '--bucket', BUCKET, '--to-file', file, '--yes', '--thaw-days', '5'];
  const waiting = await runCli(lab.env, restore);
  assert.equal(waiting.code, 13, waiting.stdout + waiting.stderr);
  assert.ok((await codesOf(lab, ['--keep-last', '1', '--yes'])).includes(`expiry.deferred ${first}`));
  assert.match((await runCli(lab.env, ['list', '--bucket', BUCKET])).stdout, RegExp(`${first} .*expiring`));
  await setClock(lab, 30);
  assert.ok((await codesOf(lab, ['--keep-last', '1', '--yes'])).includes(`expiry.removed ${first}`));
  assert.deepEqual(
    (await keysIn(lab)).filter((key) => key.includes('/pins/')),
    [],
  );
});

test('an archive that Object Lock protects is kept until the lock has ended', async (t) => {
  const lab = await labForTest(t);
  await enableObjectLock(lab);
  const [first] = idsOf(
    await makeLineage(lab, [{ write: [0, 5] }, { write: [0, 5] }], { tags: { 'snap-to-s3': 'migrate' } }),
  );
  const locked = await runMigrate(lab, [...INCREMENTAL, '--lock-mode', 'governance', '--lock-days', '10']);
  assert.equal(locked.code, 0, locked.stdout + locked.stderr);
  const rules = ['--keep-last', '1'];
  assert.deepEqual(await codesOf(lab, [...rules, '--yes']), [`expiry.marked ${first}`]);
  await setClock(lab, 8);
  const before = await keysOf(lab, first);
  assert.deepEqual(await codesOf(lab, [...rules, '--yes']), [`expiry.deferred ${first}`]);
  const text = await runCli(lab.env, ['expire', '--bucket', BUCKET, ...rules]);
  assert.match(text.stdout, /locked until \d{4}-/);
  assert.deepEqual(await keysOf(lab, first), before);
  await setClock(lab, 41);
  assert.deepEqual(await codesOf(lab, [...rules, '--yes']), [`expiry.removed ${first}`]);
  assert.deepEqual(await keysOf(lab, first), []);
});

test('a run that was killed before it read the pins does not cost a restore its archive', async (t) => {
  const { lab, points } = await archivedLineage(t, ['--storage-class', 'DEEP_ARCHIVE']);
  const [first, second] = idsOf(points);
  await markAndWait(lab, ['--keep-last', '1']);
  const file = join(lab.directory, 'disk');
  const restore = ['restore', second, '--bucket', BUCKET, '--to-file', file, '--yes'];
  assert.equal((await runCli(lab.env, restore)).code, 13);
  for (const id of [first, second]) await declareExpired(lab, id);
  const codes = await codesOf(lab, ['--keep-last', '1', '--yes']);
  assert.deepEqual(codes, [`expiry.deferred ${second}`, `expiry.removed ${first}`]);
  assert.match((await runCli(lab.env, ['list', '--bucket', BUCKET])).stdout, RegExp(`${second} .*expiring`));
  await setClock(lab, 10.5);
  const done = await runCli(lab.env, restore);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await assertSameBytes(file, points[1]?.image ?? '');
});

/** Writes what a run writes before it reads the pins. */
async function declareExpired(lab: TestLab, id: string): Promise<void> {
  const key = await keyEnding(lab, `${id}.manifest.json`);
  const content = JSON.parse((await bytesOf(lab, key)).toString());
  const expiry = { ...content.expiry, state: 'expired' };
  await replaceObject(lab, key, Buffer.from(JSON.stringify({ ...content, expiry })));
}

test('what killed runs have left beside the archives is removed', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first] = idsOf(points);
  const volume = points[0]?.volumeId ?? '';
  const dead = { command: 'expire', holder: null, volume };
  for (const snapshot of [first, volume]) await putClaim(lab, { ...dead, snapshot });
  const pin = `.snap-to-s3/pins/${first}.0badcafe.json`;
  const body = JSON.stringify({ format: 1, snapshot: first, lifeSeconds: 3600, renewal: 1 });
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: pin, Body: body }));
  const left = async () => (await keysIn(lab)).filter((key) => key.startsWith('.snap-to-s3/'));
  assert.deepEqual(await codesOf(lab, ['--keep-last', '3']), []);
  assert.equal((await left()).length, 3);
  await codesOf(lab, ['--keep-last', '3', '--yes']);
  assert.deepEqual(await left(), [pin]);
  await setClock(lab, 1);
  await codesOf(lab, ['--keep-last', '3', '--yes']);
  assert.deepEqual(await left(), []);
});

test('packs that an interrupted attempt has left are removed after the period of grace', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first] = idsOf(points);
  const pack = (await keysIn(lab)).find((key) => key.includes(first) && key.includes('.pack.')) ?? '';
  const stray = pack.replace(/\.[0-9a-f]{8}\.pack/, '.0badcafe.pack');
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: stray, Body: 'left' }));
  const before = await keysIn(lab);
  assert.deepEqual(await codesOf(lab, ['--keep-last', '3', '--yes']), []);
  assert.deepEqual(await keysIn(lab), before);
  await setClock(lab, 8);
  await codesOf(lab, ['--keep-last', '3', '--yes']);
  assert.deepEqual(
    await keysIn(lab),
    before.filter((key) => key !== stray),
  );
  for (const point of points) await assertRestored(lab, point);
});

test('wrong flags are refused before anything is read', async (t) => {
  const { lab } = await archivedLineage(t);
  for (const [argv, why] of [
    [[], /no rule says what to keep/],
    [['--keep-last', '0'], /whole number from 1/],
    [['--keep-last', '1', '--grace', '10m'], /at least 1h/],
    [['--keep-last', '1', '--yes', '--dry-run'], /cannot be used with/],
  ] as const) {
    const done = await runCli(lab.env, ['expire', '--bucket', BUCKET, ...argv]);
    assert.equal(done.code, 2, done.stderr);
    assert.match(done.stderr, why);
  }
});
