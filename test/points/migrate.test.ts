/** Incremental archives: every point is restored by contrib/restore.py to the exact bytes, and stores only what changed. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteSnapshotCommand } from '@aws-sdk/client-ec2';
import type { PointManifest } from '../../src/archive/points/point-manifest.ts';
import { fetchBucket, keysIn } from '../support/archives.ts';
import { addKey, gpgHome, importPublicKey, signKey } from '../support/gpg.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, runProgram, type TestLab } from '../support/lab.ts';
import { INCREMENTAL } from '../support/lineages/archived-lineage.ts';
import { type LineageSnapshot, makeLineage } from '../support/lineages/lineage.ts';
import { assertKilled } from '../support/processes/kill-family.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';

const READER = join(import.meta.dirname, '..', '..', 'contrib', 'restore.py');
const TO_MIGRATE = { tags: { 'snap-to-s3': 'migrate' } };

const RECIPIENT = 'points@example.com';

async function assertRestorable(lab: TestLab, points: readonly LineageSnapshot[], env: Record<string, string> = {}) {
  const bucket = await fetchBucket(lab);
  const keys = await keysIn(lab);
  for (const { snapshotId, image } of points) {
    const manifest = keys.find((key) => key.endsWith(`${snapshotId}.manifest.json`)) ?? '';
    const target = join(lab.directory, `${snapshotId}.restored`);
    const argv = ['/usr/bin/python3', READER, 'image', bucket, manifest, target];
    const done = await runProgram(argv, { env: { ...lab.env, ...env } });
    assert.equal(done.code, 0, done.stderr);
    await assertSameBytes(target, image);
    rmSync(target);
  }
  rmSync(bucket, { recursive: true });
}

test('every point of a lineage is restored exactly, and stores only what changed', async (t) => {
  const lab = await labForTest(t, { pageSize: 5 });
  const points = await makeLineage(
    lab,
    [
      { write: [0, 1, 2, 3, 10, 11, 500, 2047] },
      { write: [1, 11, 12] },
      {},
      { trim: [2, 3], writeZeros: [10], write: [500] },
      { growToGiB: 2, write: [2, 2048, 4095] },
    ],
    TO_MIGRATE,
  );
  const done = await runMigrate(lab, INCREMENTAL);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const planned = recordsOf(done).filter(({ code }) => code === 'point.planned');
  assert.deepEqual(
    planned.map(({ how, blocks }) => [how, blocks]),
    [
      ['base', 8],
      ['changed-blocks', 3],
      ['changed-blocks', 0],
      ['changed-blocks', 2],
      ['changed-blocks', 3],
    ],
  );
  assert.deepEqual(
    planned.map(({ parent }) => parent),
    [null, ...points.slice(0, -1).map(({ snapshotId }) => snapshotId)],
  );
  await assertRestorable(lab, points);
});

const manifestsOf = async (lab: TestLab): Promise<PointManifest[]> => {
  const keys = (await keysIn(lab)).filter((key) => key.endsWith('.manifest.json'));
  return Promise.all(keys.map(async (key) => JSON.parse((await bytesOf(lab, key)).toString()) as PointManifest));
};

const howOf = async (lab: TestLab) => (await manifestsOf(lab)).map(({ point }) => point.how);

test('points that are encrypted and compressed with zstd are restored by a holder of the key', async (t) => {
  const lab = await labForTest(t);
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, RECIPIENT);
  const points = await makeLineage(
    lab,
    [{ write: [0, 5, 6] }, { write: [6, 9] }, { trim: [5], write: [100] }],
    TO_MIGRATE,
  );
  const flags = [...INCREMENTAL, '--compression', 'zstd', '--gpg-recipient', RECIPIENT];
  const done = await runMigrate(lab, flags, { env });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.deepEqual(await howOf(lab), ['base', 'changed-blocks', 'changed-blocks']);
  await assertRestorable(lab, points, env);
  const text = JSON.stringify(await manifestsOf(lab));
  assert.ok(!text.includes('"bootCode":"'), 'the boot code is sealed');
});

test('without the private key, a point is a base, and says so', async (t) => {
  const lab = await labForTest(t);
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, RECIPIENT);
  const [first, second] = await makeLineage(lab, [{ write: [0, 5, 6] }, { write: [6] }], TO_MIGRATE);
  const flags = ['--incremental', '--source', 'direct', '--json', '--gpg-recipient', RECIPIENT, '--snapshots'];
  assert.equal((await runMigrate(lab, [...flags, first?.snapshotId ?? ''], { env })).code, 0);
  const publicOnly = { GNUPGHOME: await gpgHome(t) };
  await addKey(publicOnly.GNUPGHOME, 'own@example.com');
  await importPublicKey(env.GNUPGHOME, RECIPIENT, publicOnly.GNUPGHOME);
  await signKey(publicOnly.GNUPGHOME, RECIPIENT);
  const done = await runMigrate(lab, [...flags, second?.snapshotId ?? ''], { env: publicOnly });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const [planned] = recordsOf(done).filter(({ code }) => code === 'point.planned');
  assert.equal(planned?.['how'], 'base');
  assert.match(String(planned?.['reason']), /cannot be decrypted|private key/);
});

test('blocks that are read from a volume are compared by their hashes', async (t) => {
  const lab = await labForTest(t);
  const points = await makeLineage(
    lab,
    [{ write: [0, 5, 6] }, { write: [6, 9] }, { trim: [5], writeZeros: [9], growToGiB: 2 }],
    TO_MIGRATE,
  );
  const done = await runMigrate(lab, ['--all', '--incremental', '--source', 'volume', '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const planned = recordsOf(done).filter(({ code }) => code === 'point.planned');
  assert.deepEqual(
    planned.map(({ how, blocks }) => [how, blocks]),
    [
      ['base', 3],
      ['hashes', 2],
      ['hashes', 0],
    ],
  );
  await assertRestorable(lab, points);
});

test('a snapshot whose parent is gone, or that is a copy, is compared by hashes', async (t) => {
  const lab = await labForTest(t);
  const [first, second] = await makeLineage(lab, [{ write: [0, 5, 6] }, { write: [6, 9] }], TO_MIGRATE);
  assert.equal((await runMigrate(lab, [...ONE, first?.snapshotId ?? ''])).code, 0);
  await lab.ec2.send(new DeleteSnapshotCommand({ SnapshotId: first?.snapshotId }));
  const done = await runMigrate(lab, [...ONE, second?.snapshotId ?? '']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const [planned] = recordsOf(done).filter(({ code }) => code === 'point.planned');
  assert.deepEqual([planned?.['how'], planned?.['blocks']], ['hashes', 2]);
  await assertRestorable(lab, second ? [second] : []);
});

const ONE = ['--incremental', '--source', 'direct', '--json', '--snapshots'];

test('a chain begins again after --base-every points, and for another storage class', async (t) => {
  const lab = await labForTest(t);
  const points = await makeLineage(
    lab,
    [{ write: [0, 5] }, { write: [5] }, { write: [6] }, { write: [7] }],
    TO_MIGRATE,
  );
  for (const [index, { snapshotId }] of points.entries()) {
    const flags = [...ONE, snapshotId, '--base-every', '2', ...(index === 3 ? ['--storage-class', 'GLACIER_IR'] : [])];
    const done = await runMigrate(lab, flags);
    assert.equal(done.code, 0, done.stdout + done.stderr);
  }
  assert.deepEqual(await howOf(lab), ['base', 'changed-blocks', 'base', 'base']);
  assert.deepEqual(
    (await manifestsOf(lab)).map(({ point }) => [point.depth, point.storageClass]),
    [
      [0, 'STANDARD'],
      [1, 'STANDARD'],
      [0, 'STANDARD'],
      [0, 'GLACIER_IR'],
    ],
  );
  await assertRestorable(lab, points);
});

test('a parent whose pack, map or block list is missing or replaced is not continued', async (t) => {
  for (const ending of ['.pack.0001.lz4', '.map.zst', '.blocks.zst']) {
    const lab = await labForTest(t);
    const points = await makeLineage(lab, [{ write: [0, 5] }, { write: [5] }], TO_MIGRATE);
    assert.equal((await runMigrate(lab, [...ONE, points[0]?.snapshotId ?? ''])).code, 0);
    const key = (await keysIn(lab)).find((name) => name.endsWith(ending)) ?? '';
    await replaceObject(lab, key, Buffer.from('something else'));
    const done = await runMigrate(lab, [...ONE, points[1]?.snapshotId ?? '']);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    const [planned] = recordsOf(done).filter(({ code }) => code === 'point.planned');
    assert.equal(planned?.['how'], 'base');
    assert.ok(String(planned?.['reason']).includes(key), String(planned?.['reason']));
    await assertRestorable(lab, points.slice(1));
  }
});

test('what a killed run has stored is replaced, and its keys are free again', async (t) => {
  const lab = await labForTest(t);
  const points = await makeLineage(lab, [{ write: [0, 1, 2047] }, { write: [1] }], TO_MIGRATE);
  for (const event of ['object.stored', 'index.stored', 'index.stored']) {
    const killed = await runMigrate(lab, INCREMENTAL, {
      onLine: (line, signal) => {
        if (line.includes(`"${event}"`)) signal('SIGKILL');
      },
    });
    assertKilled(killed);
  }
  const done = await runMigrate(lab, INCREMENTAL);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await assertRestorable(lab, points);
  assert.equal((await keysIn(lab)).length, 2 * 4, 'a pack, a block list, a map and a manifest each');
});

test('more than 256 MiB of blocks become several packs', async (t) => {
  const lab = await labForTest(t);
  const writeZeros = Array.from({ length: 512 }, (_, index) => 3 * index + 1);
  const steps = [{ write: [0, 3 * 513], writeZeros }, { write: [0, 3 * 513] }];
  const points = await makeLineage(lab, steps, TO_MIGRATE);
  const done = await runMigrate(lab, INCREMENTAL);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.deepEqual(
    (await manifestsOf(lab)).map(({ point }) => point.own.packs),
    [2, 1],
  );
  await assertRestorable(lab, points);
});

test('a point is kept while the objects that it needs are there, and an archive of another kind is kept, too', async (t) => {
  const lab = await labForTest(t);
  const [first, second] = await makeLineage(lab, [{ write: [0, 5] }, { write: [5] }], TO_MIGRATE);
  const whole = await runMigrate(lab, ['--dd', '--source', 'direct', '--snapshots', first?.snapshotId ?? '']);
  assert.equal(whole.code, 0, whole.stderr);
  const told = await runMigrate(lab, [...ONE, first?.snapshotId ?? '', second?.snapshotId ?? '']);
  assert.equal(told.code, 0, told.stdout + told.stderr);
  assert.match(told.stdout, /already archived as a whole/);
  assert.match((await runMigrate(lab, [...ONE, second?.snapshotId ?? ''])).stdout, /already archived incrementally/);
  const key = (await keysIn(lab)).find((name) => name.endsWith('.pack.0001.lz4')) ?? '';
  await replaceObject(lab, key, Buffer.from('something else'));
  const refused = await runMigrate(lab, [...ONE, second?.snapshotId ?? '']);
  assert.equal(refused.code, 12, refused.stdout + refused.stderr);
  assert.ok(refused.stdout.includes(key));
});

test('a point for another recipient is a base', async (t) => {
  const lab = await labForTest(t);
  const env = { GNUPGHOME: await gpgHome(t) };
  for (const name of [RECIPIENT, 'next@example.com']) await addKey(env.GNUPGHOME, name);
  const [first, second] = await makeLineage(lab, [{ write: [0, 5] }, { write: [5] }], TO_MIGRATE);
  for (const [point, recipient] of [
    [first, RECIPIENT],
    [second, 'next@example.com'],
  ] as const) {
    const flags = [...ONE, point?.snapshotId ?? '', '--gpg-recipient', recipient];
    const done = await runMigrate(lab, flags, { env });
    assert.equal(done.code, 0, done.stdout + done.stderr);
  }
  assert.deepEqual(await howOf(lab), ['base', 'base']);
});

test('clean removes what a killed run has stored of a point', async (t) => {
  const lab = await labForTest(t);
  const [point] = await makeLineage(lab, [{ write: [0, 1] }], TO_MIGRATE);
  assertKilled(
    await runMigrate(lab, INCREMENTAL, {
      onLine: (line, signal) => {
        if (line.includes('"index.stored"') && line.includes('.map.')) signal('SIGKILL');
      },
    }),
  );
  const left = (await keysIn(lab)).filter((key) => key.includes(point?.snapshotId ?? '-') && !key.includes('claims'));
  assert.equal(left.length, 3, left.join());
  const callsBefore = (await lab.control.calls()).length;
  const done = await runCli(lab.env, ['clean', '--bucket', BUCKET, '--older-than', '0', '--yes']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.deepEqual(await keysIn(lab), []);
  const heads = (await lab.control.calls()).slice(callsBefore).filter(({ operation }) => operation === 'HeadObject');
  const looked = heads.map(({ details }) => details['key'] ?? '').filter((key) => left.includes(key));
  assert.deepEqual(looked, [], 'the listing shows what the head of each object would show');
});
