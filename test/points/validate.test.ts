/** Validation of points: with and without the snapshot, and only the points that need a damaged pack fail. */
import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { CopyObjectCommand, HeadObjectCommand, RestoreObjectCommand } from '@aws-sdk/client-s3';
import type { PointManifest } from '../../src/archive/points/point-manifest.ts';
import { keysIn } from '../support/archives.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import {
  BUCKET,
  type Finished,
  type RunOptions,
  recordsOf,
  runCli,
  runValidate,
  type TestLab,
} from '../support/lab.ts';
import { archivedLineage } from '../support/lineages/archived-lineage.ts';
import type { LineageSnapshot } from '../support/lineages/lineage.ts';
import { bytesOf, imageOf, replaceObject } from '../support/tamper.ts';

const BLOCK = 524_288;

const keyOf = async (lab: TestLab, point: LineageSnapshot | undefined, ending: string): Promise<string> =>
  (await keysIn(lab)).find((key) => key.includes(point?.snapshotId ?? '-') && key.includes(ending)) ?? '';

async function manifestOf(lab: TestLab, point: LineageSnapshot | undefined): Promise<PointManifest> {
  return JSON.parse((await bytesOf(lab, await keyOf(lab, point, '.manifest.json'))).toString()) as PointManifest;
}

async function damage(lab: TestLab, key: string): Promise<void> {
  const body = await bytesOf(lab, key);
  body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 1;
  await replaceObject(lab, key, body);
}

const packsIn = (done: Finished) =>
  recordsOf(done).flatMap(({ code, packs }) => (code === 'snapshot.validated' ? [packs] : []));

async function headOf(lab: TestLab, Key: string) {
  const head = await lab.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key, ChecksumMode: 'ENABLED' }));
  return { etag: (head.ETag ?? '').replaceAll('"', ''), crc32: head.ChecksumCRC32 ?? '-', bytes: head.ContentLength };
}

const validateAlone = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli(lab.env, ['validate', '--archive-only', '--bucket', BUCKET, '--json', ...argv], options);

test('without snapshots: intact points pass, also encrypted and compressed with zstd', async (t) => {
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, 'ops@example.com');
  const flags = ['--compression', 'zstd', '--gpg-recipient', 'ops@example.com'];
  const { lab } = await archivedLineage(t, flags, { env });
  const done = await validateAlone(lab, ['--all'], { env });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const validated = recordsOf(done).filter(({ code }) => code === 'snapshot.validated');
  assert.deepEqual(validated.map(({ objects }) => (objects as string[]).length).sort(), [1, 2, 3]);
});

test('without snapshots: the points that need a damaged pack fail, name its snapshot, and are marked', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first, second, third] = points;
  const pack = await keyOf(lab, second, '.pack.');
  await damage(lab, pack);
  const done = await validateAlone(lab, ['--all']);
  assert.equal(done.code, 12, done.stdout + done.stderr);
  const finished = recordsOf(done).filter(({ code }) => code === 'snapshot.finished');
  const failed = finished.filter(({ outcome }) => outcome === 'failed');
  assert.deepEqual(failed.map(({ snapshot }) => snapshot).sort(), [second?.snapshotId, third?.snapshotId].sort());
  for (const { error } of failed) assert.match(String((error as Error).message), RegExp(`which ${second?.snapshotId}`));
  assert.equal((await manifestOf(lab, first)).differedAt, undefined);
  for (const point of [second, third]) assert.notEqual((await manifestOf(lab, point)).differedAt, undefined);
});

test('each validation reads the packs that no earlier one has read, and a weaker one replaces nothing', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first, second, third] = points;
  const reads = async () => {
    const keys = (await lab.control.calls()).flatMap(({ operation, details }) =>
      operation === 'GetObject' ? [String(details['key'])] : [],
    );
    await lab.control.clearCalls();
    const isRead = (point: LineageSnapshot | undefined) =>
      keys.some((key) => key.includes(point?.snapshotId ?? '-') && key.includes('.pack.'));
    return points.map(isRead);
  };
  const argv = ['--source', 'direct', '--json', '--snapshots'];
  await reads();
  const alone = await runValidate(lab, [...argv, second?.snapshotId ?? '']);
  assert.equal(alone.code, 0, alone.stdout + alone.stderr);
  assert.deepEqual([packsIn(alone), await reads()], [[{ read: 2, readBefore: 0, unread: 0 }], [true, true, false]]);
  const rest = await runValidate(lab, [...argv, third?.snapshotId ?? '', first?.snapshotId ?? '']);
  assert.equal(rest.code, 0, rest.stdout + rest.stderr);
  assert.deepEqual(packsIn(rest), [
    { read: 1, readBefore: 0, unread: 0 },
    { read: 1, readBefore: 2, unread: 0 },
  ]);
  assert.deepEqual(await reads(), [true, false, true]);
  for (const point of points) {
    const { validatedAt, validation } = await manifestOf(lab, point);
    assert.deepEqual([validation?.packs, validation?.at], ['read', validatedAt]);
    assert.equal((await tagsOf(lab, point.snapshotId))['snap-to-s3'], 'validated');
  }
  const Key = await keyOf(lab, third, '.pack.');
  const CopySource = `${BUCKET}/${encodeURIComponent(Key)}`;
  await lab.s3.send(new CopyObjectCommand({ Bucket: BUCKET, Key, CopySource, StorageClass: 'DEEP_ARCHIVE' }));
  const before = await manifestOf(lab, third);
  const weaker = await runValidate(lab, [...argv, third?.snapshotId ?? '']);
  assert.equal(weaker.code, 0, weaker.stdout + weaker.stderr);
  assert.deepEqual(packsIn(weaker), [{ read: 0, readBefore: 2, unread: 1 }]);
  assert.deepEqual(await manifestOf(lab, third), before);
  assert.equal((await tagsOf(lab, third?.snapshotId ?? ''))['snap-to-s3'], 'validated');
  await damage(lab, await keyOf(lab, first, '.pack.'));
  assert.equal((await runValidate(lab, [...argv, third?.snapshotId ?? ''])).code, 12);
  const { validatedAt, validation, differedAt } = await manifestOf(lab, third);
  assert.deepEqual([validatedAt, validation, typeof differedAt], [null, undefined, 'string']);
});

test('a weaker validation does not clear a difference', async (t) => {
  const { lab, points } = await archivedLineage(t, ['--storage-class', 'DEEP_ARCHIVE']);
  const [first] = points;
  const key = await keyOf(lab, first, '.manifest.json');
  const differed = { ...(await manifestOf(lab, first)), differedAt: '2026-01-01T00:00:00.000Z' };
  await replaceObject(lab, key, Buffer.from(JSON.stringify(differed)));
  const argv = ['--source', 'direct', '--json', '--snapshots', first?.snapshotId ?? ''];
  assert.equal((await runValidate(lab, argv)).code, 0);
  const { validatedAt, validation, differedAt } = await manifestOf(lab, first);
  assert.deepEqual([validatedAt, validation?.packs, differedAt], [null, 'not-read', differed.differedAt]);
});

test('a pack whose bytes are not its blocks is a difference, although it is the object that was stored', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first, , third] = points;
  const pack = await keyOf(lab, first, '.pack.');
  const [before, body] = [await headOf(lab, pack), await bytesOf(lab, pack)];
  body[200_000] = (body[200_000] ?? 0) ^ 1;
  await replaceObject(lab, pack, body);
  const after = await headOf(lab, pack);
  const list = await keyOf(lab, first, '.blocks.');
  const text = zstdDecompressSync(await bytesOf(lab, list)).toString();
  const forged = text.replace(before.etag, after.etag).replace(before.crc32, after.crc32);
  assert.notEqual(forged, text);
  const listBefore = await headOf(lab, list);
  await replaceObject(lab, list, zstdCompressSync(forged));
  const listAfter = await headOf(lab, list);
  for (const point of points) {
    const key = await keyOf(lab, point, '.manifest.json');
    const renamed = (await bytesOf(lab, key)).toString().replaceAll(listBefore.etag, listAfter.etag);
    const resized = renamed.replaceAll(`"bytes": ${listBefore.bytes}\n`, `"bytes": ${listAfter.bytes}\n`);
    await replaceObject(lab, key, Buffer.from(resized));
  }
  const done = await runValidate(lab, ['--source', 'direct', '--json', '--snapshots', third?.snapshotId ?? '']);
  assert.equal(done.code, 12, done.stdout + done.stderr);
  assert.ok(done.stdout.includes(pack), done.stdout);
});

for (const source of ['direct', 'volume']) {
  test(`${source}: every block is compared with the snapshot, and nothing is thawed or recorded as read`, async (t) => {
    const { lab, points } = await archivedLineage(t, ['--storage-class', 'DEEP_ARCHIVE'], {}, { encrypted: true });
    const [, second, third] = points;
    const ids = [second, third].map((point) => point?.snapshotId ?? '');
    const argv = ['--snapshots', ...ids, '--source', source, '--json'];
    const done = await runValidate(lab, argv);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.deepEqual(packsIn(done), [
      { read: 0, readBefore: 0, unread: 2 },
      { read: 0, readBefore: 0, unread: 3 },
    ]);
    for (const point of [second, third]) {
      const { validatedAt, validation } = await manifestOf(lab, point);
      assert.deepEqual([validatedAt, validation?.packs], [null, 'not-read']);
      assert.equal((await tagsOf(lab, point?.snapshotId ?? ''))['snap-to-s3'], 'content-validated');
    }
    for (const Key of (await keysIn(lab)).filter((key) => key.includes('.pack.')))
      await lab.s3.send(new RestoreObjectCommand({ Bucket: BUCKET, Key, RestoreRequest: { Days: 1 } }));
    const thawed = await runValidate(lab, argv);
    assert.equal(thawed.code, 0, thawed.stdout + thawed.stderr);
    const { validatedAt, validation } = await manifestOf(lab, third);
    assert.deepEqual([validation?.packs, validation?.at], ['read', validatedAt]);
  });

  test(`${source}: a snapshot with other content, and a replaced pack, are differences`, async (t) => {
    const { lab, points } = await archivedLineage(t);
    const [first, second, third] = points;
    const image = openSync(imageOf(lab, third?.snapshotId ?? ''), 'r+');
    writeSync(image, 'x', 12 * BLOCK);
    closeSync(image);
    await damage(lab, await keyOf(lab, first, '.pack.'));
    const ids = [second, third].map((point) => point?.snapshotId ?? '');
    const done = await runValidate(lab, ['--snapshots', ...ids, '--source', source, '--json']);
    assert.equal(done.code, 12, done.stdout + done.stderr);
    const differences = recordsOf(done)
      .filter(({ code }) => code === 'snapshot.validated')
      .map((record) => [record['snapshot'], JSON.stringify(record['differences'])]);
    assert.equal(differences.length, 2);
    for (const [snapshot, text] of differences) {
      assert.match(String(text), RegExp(`which ${first?.snapshotId} stored, is not the object`));
      assert.equal(/at byte 6291456/.test(String(text)), snapshot === third?.snapshotId);
    }
    assert.notEqual((await manifestOf(lab, third)).differedAt, undefined);
  });
}
