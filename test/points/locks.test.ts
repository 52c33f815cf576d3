/** Points with Object Lock: a chain has one lock, which never has to be extended. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import type { PointManifest } from '../../src/archive/points/point-manifest.ts';
import { wholeSecond } from '../../src/lib/instant.ts';
import { enableObjectLock, keysIn, locksIn } from '../support/archives.ts';
import { BUCKET, type Finished, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { makeLineage } from '../support/lineages/lineage.ts';
import { bytesOf } from '../support/tamper.ts';

const DAY = 86_400_000;
const STEPS = [{ write: [0, 5, 6] }, { write: [6, 9] }, { write: [9] }, { write: [5] }, { write: [0] }];
const GOVERNANCE = ['--lock-mode', 'governance', '--lock-days', '10'];

async function lineage(lab: TestLab): Promise<string[]> {
  const points = await makeLineage(lab, STEPS, { tags: { 'snap-to-s3': 'migrate' } });
  return points.map(({ snapshotId }) => snapshotId);
}

const archive = (lab: TestLab, id: string | undefined, flags: readonly string[]): Promise<Finished> =>
  runMigrate(lab, ['--incremental', '--source', 'direct', '--json', '--snapshots', id ?? '', ...flags]);

/** Archives a point. @returns how, and why. */
async function pointOf(lab: TestLab, id: string | undefined, flags: readonly string[]): Promise<[unknown, unknown]> {
  const done = await archive(lab, id, flags);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const planned = recordsOf(done).find(({ code }) => code === 'point.planned');
  return [planned?.['how'], planned?.['reason']];
}

async function manifestOf(lab: TestLab, id: string | undefined): Promise<PointManifest> {
  const key = (await keysIn(lab)).find((one) => one.endsWith(`${id}.manifest.json`)) ?? '';
  return JSON.parse((await bytesOf(lab, key)).toString()) as PointManifest;
}

test('all objects of a chain have the same lock; claims have none', async (t) => {
  const lab = await labForTest(t);
  await enableObjectLock(lab);
  const [first, second] = await lineage(lab);
  const began = wholeSecond(new Date()).getTime();
  assert.deepEqual((await pointOf(lab, first, GOVERNANCE))[0], 'base');
  await lab.control.setClock(new Date(began + 29 * DAY));
  assert.deepEqual(await pointOf(lab, second, GOVERNANCE), ['changed-blocks', null]);
  const [{ point }, { point: later }] = [await manifestOf(lab, first), await manifestOf(lab, second)];
  assert.equal(point.chain.lockMode, 'GOVERNANCE');
  const until = new Date(point.chain.lockedUntil ?? '');
  const days = (until.getTime() - began) / DAY;
  assert.ok(days >= 40 && days < 40.01, `${days} days`);
  assert.equal(later.chain.lockedUntil, point.chain.lockedUntil);
  const shown = await runCli(lab.env, ['list', second ?? '', '--bucket', BUCKET]);
  assert.match(
    shown.stdout,
    new RegExp(`^  locked +GOVERNANCE until ${until.toISOString()}, when it was stored$`, 'm'),
  );
  const [claims, others] = Map.groupBy(await locksIn(lab), ({ key }) => key.includes('/claims/')).values();
  assert.ok(claims && others);
  // The pack, the block list, the map and the manifest of each point.
  assert.equal(others.length, 8);
  for (const { key, mode, until: found } of others) assert.deepEqual([mode, found], ['GOVERNANCE', until], key);
  for (const { key, mode } of claims) assert.equal(mode, null, key);
});

test('a chain begins again when its lock ends too early, and for another mode or none', async (t) => {
  const lab = await labForTest(t);
  await enableObjectLock(lab);
  const [first, second, third, fourth, fifth] = await lineage(lab);
  const began = wholeSecond(new Date()).getTime();
  await pointOf(lab, first, []);
  const [how, reason] = await pointOf(lab, second, GOVERNANCE);
  assert.deepEqual([how, reason], ['base', 'the objects of the chain are not locked']);
  await lab.control.setClock(new Date(began + 31 * DAY));
  const late = await pointOf(lab, third, GOVERNANCE);
  assert.equal(late[0], 'base');
  assert.match(String(late[1]), /^the lock of the chain ends 20\d\d-.*Z, in less than 10 days$/);
  const other = await pointOf(lab, fourth, ['--lock-mode', 'compliance', '--lock-days', '10']);
  assert.deepEqual(other, ['base', 'the objects of the chain are locked in the mode GOVERNANCE']);
  const none = await pointOf(lab, fifth, []);
  assert.equal(none[0], 'base');
  assert.match(String(none[1]), /are locked \(COMPLIANCE until 20.*\), and no lock was asked for/);
  assert.equal((await manifestOf(lab, fifth)).point.chain.lockedUntil, undefined);
});

test('a chain whose pack has lost its lock is not continued', async (t) => {
  const lab = await labForTest(t);
  await enableObjectLock(lab);
  const [first, second] = await lineage(lab);
  await pointOf(lab, first, GOVERNANCE);
  const pack = (await keysIn(lab)).find((key) => key.includes('.pack.'));
  const bypass = { BypassGovernanceRetention: true, Retention: {} };
  await lab.s3.send(new PutObjectRetentionCommand({ Bucket: BUCKET, Key: pack, ...bypass }));
  const [how, reason] = await pointOf(lab, second, GOVERNANCE);
  assert.equal(how, 'base');
  assert.match(
    String(reason),
    /pack.* should be locked as its chain is, and the store does not report that it is locked/,
  );
});

for (const [what, operation] of [
  ['packs', 'CreateMultipartUpload'],
  ['block lists and maps', 'PutObject'],
] as const) {
  test(`a point is not committed if the store ignores the lock of ${what}`, async (t) => {
    const lab = await labForTest(t);
    await enableObjectLock(lab);
    const [first] = await lineage(lab);
    const action = { kind: 'behaviour', name: 'lock-ignored' } as const;
    await lab.control.script({ service: 's3', operation, times: 99, action });
    const done = await archive(lab, first, GOVERNANCE);
    await lab.control.clearFaults();
    assert.equal(done.code, 1, done.stdout);
    assert.match(done.stdout, /NOT_LOCKED/);
    assert.deepEqual(
      (await keysIn(lab)).filter((key) => key.endsWith('.manifest.json')),
      [],
    );
    assert.equal((await pointOf(lab, first, GOVERNANCE))[0], 'base');
  });
}

test('a point that exists is kept, and the run says how it was locked', async (t) => {
  const lab = await labForTest(t);
  await enableObjectLock(lab);
  const [first, second] = await lineage(lab);
  await pointOf(lab, first, []);
  await pointOf(lab, second, GOVERNANCE);
  const said = async (id: string | undefined) => {
    const done = await archive(lab, id, GOVERNANCE);
    assert.equal(done.code, 0, done.stderr);
    return done.stdout;
  };
  assert.match(await said(first), /WITHOUT A LOCK, which this run does not add/);
  assert.match(await said(second), /stored with the lock GOVERNANCE until 20/);
});
