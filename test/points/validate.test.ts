/** Validation of points: with and without the snapshot, and only the points that need a damaged pack fail. */
import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import type { PointManifest } from '../../src/archive/points/point-manifest.ts';
import { keysIn } from '../support/archives.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, type RunOptions, recordsOf, runCli, runValidate, type TestLab } from '../support/lab.ts';
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

for (const source of ['direct', 'volume']) {
  test(`${source}: every block is compared with the snapshot, and nothing is thawed`, async (t) => {
    const { lab, points } = await archivedLineage(t, ['--storage-class', 'DEEP_ARCHIVE'], {}, { encrypted: true });
    const [, second, third] = points;
    const ids = [second, third].map((point) => point?.snapshotId ?? '');
    const done = await runValidate(lab, ['--snapshots', ...ids, '--source', source, '--json']);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    for (const point of [second, third]) {
      assert.notEqual((await manifestOf(lab, point)).validatedAt, null);
      assert.equal((await tagsOf(lab, point?.snapshotId ?? ''))['snap-to-s3'], 'validated');
    }
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
