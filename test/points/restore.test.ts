/** Points are restored to exact bytes, whatever the target held before, and nothing takes them for other archives. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { keysIn } from '../support/archives.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, type RunOptions, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { archivedLineage, INCREMENTAL } from '../support/lineages/archived-lineage.ts';
import type { LineageSnapshot } from '../support/lineages/lineage.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';

const BLOCK = 524_288;

const runRestore = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli(lab.env, ['restore', '--bucket', BUCKET, '--json', ...argv], options);

async function assertRestored(lab: TestLab, { snapshotId, image }: LineageSnapshot, options: RunOptions = {}) {
  const file = join(lab.directory, `${snapshotId}.restored`);
  const done = await runRestore(lab, [snapshotId, '--to-file', file], options);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await assertSameBytes(file, image);
  rmSync(file);
  return recordsOf(done);
}

function lastOf(points: readonly LineageSnapshot[]): LineageSnapshot {
  const last = points.at(-1);
  if (!last) throw new Error('the lineage is empty');
  return last;
}

for (const compress of ['lz4', 'zstd']) {
  test(`${compress}: every point is restored to a file`, async (t) => {
    const { lab, points } = await archivedLineage(t, ['--compression', compress]);
    for (const point of points) await assertRestored(lab, point);
  });
}

test('encrypted: every point is restored to a file', async (t) => {
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, 'ops@example.com');
  const { lab, points } = await archivedLineage(t, ['--gpg-recipient', 'ops@example.com'], { env });
  for (const point of points) await assertRestored(lab, point, { env });
});

test('an interrupted restore keeps the blocks that are right, and writes zeros over others', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const { snapshotId, image } = lastOf(points);
  const file = join(lab.directory, 'disk.img');
  const unfinished = openSync(`${file}.unfinished`, 'w');
  const right = readFileSync(image).subarray(0, 2 * BLOCK);
  writeSync(unfinished, right, 0, right.length, 0);
  for (const index of [2, 10, 600]) writeSync(unfinished, randomBytes(BLOCK), 0, BLOCK, index * BLOCK);
  closeSync(unfinished);
  const done = await runRestore(lab, [snapshotId, '--to-file', file]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.equal(recordsOf(done).find(({ code }) => code === 'restore.continued')?.['bytes'], 2 * BLOCK);
  await assertSameBytes(file, image);
});

test('a dry run shows exactly the packs that hold blocks of the point', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const file = join(lab.directory, 'disk.img');
  const done = await runRestore(lab, [lastOf(points).snapshotId, '--to-file', file, '--dry-run']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const { plan } = recordsOf(done).find(({ code }) => code === 'restore.planned') as { plan: Plan } & object;
  assert.deepEqual(
    plan.objects.map(({ plainBytes }) => plainBytes / BLOCK),
    [2, 3, 1],
  );
  assert.equal(existsSync(file), false);
});

interface Plan {
  objects: { key: string; plainBytes: number; fetchBytes: number }[];
}

test('only the points that need a damaged or missing pack fail, and no file remains', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first, second, third] = points;
  const pack =
    (await keysIn(lab)).find((key) => key.includes(second?.snapshotId ?? '-') && key.includes('.pack.')) ?? '';
  const body = await bytesOf(lab, pack);
  body[200_000] = (body[200_000] ?? 0) ^ 1;
  await replaceObject(lab, pack, body);
  if (first) await assertRestored(lab, first);
  for (const point of [second, third]) {
    const file = join(lab.directory, 'disk.img');
    const done = await runRestore(lab, [point?.snapshotId ?? '', '--to-file', file]);
    assert.equal(done.code, 12, done.stdout + done.stderr);
    assert.match(done.stdout, new RegExp(`${second?.snapshotId}.*\\.pack\\.0001`));
    assert.equal(existsSync(file) || existsSync(`${file}.unfinished`), false);
  }
});

test('a missing map or block list is named', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const { snapshotId } = lastOf(points);
  for (const ending of ['.map.zst', '.blocks.zst']) {
    const Key = (await keysIn(lab)).find((key) => key.includes(snapshotId) && key.endsWith(ending)) ?? '';
    const body = await bytesOf(lab, Key);
    await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }));
    const done = await runRestore(lab, [snapshotId, '--to-file', join(lab.directory, 'disk.img')]);
    assert.equal(done.code, 12, done.stdout + done.stderr);
    assert.ok(done.stdout.includes(`${Key}: it is not in the bucket`), done.stdout);
    await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: body }));
  }
});

test('targets and commands for other archives refuse a point', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const { snapshotId } = lastOf(points);
  for (const argv of [
    ['--to-dir', join(lab.directory, 'files')],
    ['--partition', '1', '--to-file', join(lab.directory, 'p')],
  ]) {
    const done = await runRestore(lab, [snapshotId, ...argv]);
    assert.equal(done.code, 10, done.stdout + done.stderr);
    assert.match(done.stdout, /--to-file/);
  }
  const files = await runCli(lab.env, ['list', '--bucket', BUCKET, '--json', '--find', '*']);
  const reasons = recordsOf(files).flatMap(({ code, reason }) => (code === 'files.not-listed' ? [String(reason)] : []));
  assert.deepEqual(
    reasons.map((reason) => reason.startsWith('it is an incremental archive')),
    points.map(() => true),
  );
  const full = await runMigrate(lab, ['--snapshots', snapshotId, '--dd', '--source', 'direct', '--json', '--replace']);
  assert.match(full.stdout + full.stderr, /already archived incrementally/, full.stderr);
  assert.notEqual(full.code, 0);
  const again = await runMigrate(lab, ['--snapshots', snapshotId, ...INCREMENTAL.slice(1)]);
  assert.equal(again.code, 0, again.stdout + again.stderr);
  for (const point of points) await assertRestored(lab, point);
});

test('exactly the packs that the point needs are thawed, and their price comes first', async (t) => {
  const { lab, points } = await archivedLineage(t, ['--storage-class', 'DEEP_ARCHIVE']);
  const [first, second] = points;
  const file = join(lab.directory, 'disk.img');
  const argv = [second?.snapshotId ?? '', '--to-file', file];
  const dry = await runRestore(lab, [...argv, '--dry-run']);
  assert.equal(dry.code, 0, dry.stdout + dry.stderr);
  const told = await runRestore(lab, argv);
  assert.equal(told.code, 1, told.stdout + told.stderr);
  for (const run of [dry, told])
    assert.equal(recordsOf(run).find(({ code }) => code === 'thaw.offered')?.['objects'], 2);
  const done = await runRestore(lab, [...argv, '--yes', '--wait']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const thawed = recordsOf(done).flatMap(({ code, key }) => (code === 'thaw.requested' ? [String(key)] : []));
  const ids = thawed.map((key) => /snap-\w+/.exec(key)?.[0]);
  assert.deepEqual(ids.sort(), [first?.snapshotId, second?.snapshotId].sort());
  await assertSameBytes(file, second?.image ?? '');
});
