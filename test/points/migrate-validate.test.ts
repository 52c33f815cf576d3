/** Points that are validated before their manifests are written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PointManifest } from '../../src/archive/points/point-manifest.ts';
import { keysIn } from '../support/archives.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, type Finished, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { archivedLineage, INCREMENTAL } from '../support/lineages/archived-lineage.ts';
import { makeLineage } from '../support/lineages/lineage.ts';
import { bytesOf } from '../support/tamper.ts';

const TO_MIGRATE = { tags: { 'snap-to-s3': 'migrate' } };
const STEPS = [{ write: [0, 1, 2, 3] }, { write: [1, 11] }, { trim: [2], writeZeros: [3], write: [500] }];

const manifestsOf = async (lab: TestLab): Promise<PointManifest[]> => {
  const keys = (await keysIn(lab)).filter((key) => key.endsWith('.manifest.json'));
  return Promise.all(keys.map(async (key) => JSON.parse((await bytesOf(lab, key)).toString()) as PointManifest));
};

const packsIn = (done: Finished) =>
  recordsOf(done).flatMap(({ code, packs }) => (code === 'snapshot.validated' ? [packs] : []));

const stateOf = async (lab: TestLab, id: string | undefined) => (await tagsOf(lab, id ?? ''))['snap-to-s3'];

async function assertValidated(lab: TestLab, ids: readonly string[]) {
  for (const { validatedAt, validation } of await manifestsOf(lab))
    assert.deepEqual([validation?.packs, validation?.at, typeof validatedAt], ['read', validatedAt, 'string']);
  for (const id of ids) assert.equal(await stateOf(lab, id), 'validated');
}

for (const source of ['direct', 'volume']) {
  test(`${source}: each point reads back the packs that it stored itself, also encrypted`, async (t) => {
    const lab = await labForTest(t);
    const env = { GNUPGHOME: await gpgHome(t) };
    await addKey(env.GNUPGHOME, 'ops@example.com');
    const points = await makeLineage(lab, STEPS, TO_MIGRATE);
    const flags = ['--all', '--incremental', '--validate', '--json', '--source', source];
    const encrypted = source === 'volume' ? ['--gpg-recipient', 'ops@example.com'] : [];
    const done = await runMigrate(lab, [...flags, ...encrypted], { env });
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.deepEqual(
      packsIn(done),
      [0, 1, 2].map((readBefore) => ({ read: 1, readBefore, unread: 0 })),
    );
    await assertValidated(
      lab,
      points.map(({ snapshotId }) => snapshotId),
    );
  });
}

test('a pack that reads back with other bytes gets no manifest, and the next run stores the point again', async (t) => {
  const lab = await labForTest(t);
  const [point] = await makeLineage(lab, [{ write: [0, 1, 2, 3] }], TO_MIGRATE);
  // Maps and block lists are shorter.
  await lab.control.script({ service: 's3', operation: 'GetObject', every: 1, action: { kind: 'flip', at: 200_000 } });
  const failed = await runMigrate(lab, [...INCREMENTAL, '--validate']);
  assert.equal(failed.code, 12, failed.stdout + failed.stderr);
  assert.match(failed.stdout, /\.pack\.0001/);
  assert.deepEqual(await manifestsOf(lab), []);
  assert.equal(await stateOf(lab, point?.snapshotId), 'migrate');
  await lab.control.clearFaults();
  const done = await runMigrate(lab, [...INCREMENTAL, '--validate']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await assertValidated(lab, [point?.snapshotId ?? '']);
  assert.equal((await keysIn(lab)).filter((key) => key.includes('/snap-') || key.includes(' snap-')).length, 4);
});

test('unchanged blocks are read, too; a point or a whole archive that was not validated is validated', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const ids = points.map(({ snapshotId }) => snapshotId);
  const reads = async () => {
    const calls = await lab.control.calls();
    await lab.control.clearCalls();
    return calls.filter(({ operation }) => operation === 'GetSnapshotBlock').length;
  };
  await reads();
  const again = ['--incremental', '--validate', '--source', 'direct', '--json', '--snapshots'];
  const kept = await runMigrate(lab, [...again, ...ids]);
  assert.equal(kept.code, 0, kept.stdout + kept.stderr);
  await assertValidated(lab, ids);
  await reads();
  const twice = await runMigrate(lab, [...again, ...ids]);
  assert.equal(twice.code, 0, twice.stdout + twice.stderr);
  assert.deepEqual([packsIn(twice), await reads()], [[], 0]);
  const [first, second] = await makeLineage(lab, [{ write: [0, 1, 2, 3, 4, 5, 6, 7] }, { write: [1] }], TO_MIGRATE);
  assert.equal((await runMigrate(lab, [...again, first?.snapshotId ?? ''])).code, 0);
  await reads();
  const next = await runMigrate(lab, [...again, second?.snapshotId ?? '']);
  assert.equal(next.code, 0, next.stdout + next.stderr);
  assert.ok((await reads()) >= 1 + 8, 'the changed block, and all blocks for the comparison');
  const [whole] = await makeLineage(lab, [{ write: [0, 1] }], TO_MIGRATE);
  const id = whole?.snapshotId ?? '';
  assert.equal((await runMigrate(lab, ['--dd', '--source', 'direct', '--snapshots', id])).code, 0);
  const proved = await runMigrate(lab, [...again, id]);
  assert.equal(proved.code, 0, proved.stdout + proved.stderr);
  assert.deepEqual([packsIn(proved), await stateOf(lab, id)], [[null], 'validated']);
});

test('archive classes are refused, because packs cannot be read back from them', async (t) => {
  const lab = await labForTest(t);
  const argv = [
    'migrate',
    '--all',
    '--bucket',
    BUCKET,
    '--incremental',
    '--validate',
    '--storage-class',
    'DEEP_ARCHIVE',
  ];
  const done = await runCli(lab.env, argv);
  assert.equal(done.code, 2, done.stdout + done.stderr);
});
