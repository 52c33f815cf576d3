/** Drills of points read packs of every generation, and name a damaged pack and the points that need it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CopyObjectCommand, DeleteObjectCommand } from '@aws-sdk/client-s3';
import type { DrilledPack } from '../../src/events.ts';
import { keyEnding, keysIn } from '../support/archives.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, recordsOf, type TestLab } from '../support/lab.ts';
import { archivedLineage } from '../support/lineages/archived-lineage.ts';
import { runDrill } from '../support/processes/run-drill.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';

const packOf = async (lab: TestLab, snapshotId: string | undefined): Promise<string> =>
  (await keysIn(lab)).find((key) => key.includes(snapshotId ?? '-') && key.includes('.pack.')) ?? '';

const blocksRead = (packs: readonly DrilledPack[] | null | undefined) =>
  packs?.map(({ generation, blocks }) => [generation, blocks]);

test('the newest point is drilled with packs of every generation, whichever point is drawn', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first, second, third] = points.map(({ snapshotId }) => snapshotId);
  for (const seed of ['1', '2', '3']) {
    const done = await runDrill(lab, ['--seed', seed]);
    assert.equal(done.code, 0, done.said);
    assert.deepEqual(done.report.population, { found: 3, incomplete: 0, incremental: 3, archived: 0 });
    const [row, ...others] = done.report.archives;
    assert.deepEqual([row?.snapshot, row?.outcome, others.length], [third, 'passed', 0]);
    assert.deepEqual(row?.comparedWith, ['block-lists']);
    assert.deepEqual(blocksRead(row?.packs), [
      [first, 2],
      [second, 3],
      [third, 1],
    ]);
    assert.equal(row?.bytes, 6 * 524_288);
    const read = (row?.packs ?? []).reduce((sum, { fetchedBytes }) => sum + fetchedBytes, 0);
    assert.ok(read >= 6 * 524_288 && read === row?.fetchedBytes, `${read}`);
    assert.deepEqual(
      row?.keys,
      row?.packs?.map(({ key }) => key),
    );
    assert.match(done.stdout, RegExp(`1 pack of ${second}: 3 blocks, 1.5\\d MiB read`));
    assert.match(done.html, RegExp(`pack.0001.lz4 of ${second}: 3 blocks`));
  }
  const all = await runDrill(lab, ['--sample', '9']);
  assert.equal(all.code, 0, all.said);
  assert.deepEqual(all.report.archives.map(({ snapshot }) => snapshot).sort(), [first, second, third].sort());
  const old = await runDrill(lab, ['--snapshots', second ?? '']);
  assert.deepEqual(blocksRead(old.report.archives[0]?.packs), [
    [first, 6],
    [second, 3],
  ]);
});

test('a damaged pack fails the drill, which names the pack and the points that need it', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first, second, third] = points.map(({ snapshotId }) => snapshotId);
  const pack = await packOf(lab, second);
  const body = await bytesOf(lab, pack);
  body[200_000] = (body[200_000] ?? 0) ^ 1;
  await replaceObject(lab, pack, body);
  const done = await runDrill(lab, ['--sample', '9']);
  assert.equal(done.code, 12, done.said);
  const rows = new Map(done.report.archives.map((row) => [row.snapshot, row]));
  assert.equal(rows.get(first ?? '')?.outcome, 'passed');
  for (const snapshot of [second, third]) {
    const { outcome, reason, packs, comparedWith, differences } = rows.get(snapshot ?? '') ?? {};
    assert.deepEqual([outcome, comparedWith, differences?.[0]?.object], ['differs', [], pack]);
    const damaged = packs?.find(({ damage }) => damage !== null);
    assert.equal(damaged?.key, pack);
    assert.deepEqual(damaged?.damage?.neededBy, [second, third]);
    assert.deepEqual(damaged?.damage?.unknown, []);
    assert.ok(reason?.includes(`${pack}, which ${second} stored, is damaged`), `${reason}`);
    assert.ok(reason?.includes(`it is needed by ${second}, ${third}`), `${reason}`);
  }
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: pack }));
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: await keyEnding(lab, `${second}.manifest.json`) }));
  await replaceObject(lab, await keyEnding(lab, `${first}.manifest.json`), Buffer.from('no manifest'));
  const missing = await runDrill(lab, []);
  assert.equal(missing.code, 12, missing.said);
  const [row] = missing.report.archives;
  assert.deepEqual([row?.snapshot, missing.report.population.incomplete], [third, 1]);
  const damage = row?.packs?.find(({ key }) => key === pack)?.damage;
  assert.deepEqual([damage?.neededBy, damage?.unknown], [[third], [first]]);
  assert.match(row?.reason ?? '', /is not in the bucket; it is needed by .*; of 1 other point that is unknown/);
});

test('points are left out, and counted, while packs that they need must be thawed; --thaw thaws all of them', async (t) => {
  const { lab, points } = await archivedLineage(t);
  const [first, second, third] = points.map(({ snapshotId }) => snapshotId);
  const Key = await packOf(lab, second);
  const CopySource = `${BUCKET}/${encodeURIComponent(Key)}`;
  await lab.s3.send(new CopyObjectCommand({ Bucket: BUCKET, Key, CopySource, StorageClass: 'DEEP_ARCHIVE' }));
  const ids = ['--sample', '9', '--snapshots'];
  const cold = await runDrill(lab, [...ids, second ?? '', third ?? '']);
  assert.equal(cold.code, 10, cold.said);
  assert.deepEqual(cold.report.population, { found: 2, incomplete: 0, incremental: 2, archived: 2 });
  const calls = await lab.control.calls();
  assert.ok(!calls.some(({ operation }) => operation === 'RestoreObject'));
  const other = await runDrill(lab, ['--sample', '9']);
  assert.deepEqual(
    other.report.archives.map(({ snapshot, outcome }) => [snapshot, outcome]),
    [[first, 'passed']],
    other.said,
  );
  await lab.control.setDelays({ restore: 500 });
  const thawed = await runDrill(lab, ['--thaw', '--yes', '--wait', '--json']);
  assert.equal(thawed.code, 0, thawed.said);
  assert.deepEqual(thawed.report.archives[0]?.snapshot, third);
  const requested = recordsOf(thawed).flatMap(({ code, key }) => (code === 'thaw.requested' ? [key] : []));
  assert.deepEqual(requested, [Key]);
  const again = await runDrill(lab, [...ids, second ?? '']);
  assert.deepEqual([again.code, again.report.population.archived], [0, 0], again.said);
});

test('encrypted points with and without their key, and the comparison with the snapshot', async (t) => {
  const [GNUPGHOME, empty] = [await gpgHome(t), await gpgHome(t)];
  await addKey(GNUPGHOME, 'ops@example.com');
  const flags = ['--compression', 'zstd', '--gpg-recipient', 'ops@example.com'];
  const { lab, points } = await archivedLineage(t, flags, { env: { GNUPGHOME } }, { encrypted: true });
  for (const source of ['direct', 'volume']) {
    const done = await runDrill(lab, ['--with-snapshot', '--source', source], { env: { GNUPGHOME } });
    assert.equal(done.code, 0, done.said);
    assert.equal(done.report.archives[0]?.snapshot, points.at(-1)?.snapshotId);
    assert.deepEqual(done.report.archives[0]?.comparedWith, ['block-lists', 'snapshot']);
  }
  const locked = await runDrill(lab, [], { env: { GNUPGHOME: empty } });
  assert.equal(locked.code, 2, locked.said);
  assert.equal(locked.report.verdict, 'failed');
});
