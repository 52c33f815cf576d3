/** A point whose parent is marked or removed while it is being stored is withdrawn, and stored again without that parent. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { keyEnding, keysIn } from '../support/archives.ts';
import { BUCKET, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { archivedLineage, INCREMENTAL } from '../support/lineages/archived-lineage.ts';
import { type LineageSnapshot, makeLineage } from '../support/lineages/lineage.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';
import { until } from '../support/until.ts';

interface Withdrawn {
  lab: TestLab;
  /** The older points, and the one that was stored meanwhile. */
  older: [string, string, string];
  latest: LineageSnapshot;
  records: Record<string, unknown>[];
}

/** Archives a fourth snapshot. Its manifest is held back until `change` is done. */
async function changedMeanwhile(
  t: TestContext,
  change: (lab: TestLab, older: Withdrawn['older']) => Promise<void>,
): Promise<Withdrawn> {
  const { lab, points } = await archivedLineage(t);
  const older = points.map(({ snapshotId }) => snapshotId) as Withdrawn['older'];
  const fixture = { volumeId: points[0]?.volumeId ?? '', tags: { 'snap-to-s3': 'migrate' } };
  const step = { write: [1, 9] };
  const [latest] = await makeLineage(lab, [step], { ...fixture, startTime: '2026-02-01T00:00:00Z' });
  assert.ok(latest);
  const key = `${latest.volumeId}/2026-02-01T00:00:00+00:00 ${latest.snapshotId}.manifest.json`;
  const action = { kind: 'latency', milliseconds: 600_000 } as const;
  await lab.control.script({ service: 's3', operation: 'PutObject', match: { key }, action });
  const running = runMigrate(lab, INCREMENTAL);
  await until(async () => (await lab.control.unusedFaults()).length === 0);
  await change(lab, older);
  await lab.control.clearFaults();
  const done = await running;
  assert.equal(done.code, 0, done.stdout + done.stderr);
  return { lab, older, latest, records: recordsOf(done) };
}

async function mark(lab: TestLab, id: string): Promise<void> {
  const key = await keyEnding(lab, `${id}.manifest.json`);
  const expiry = { state: 'expiring', markedAt: new Date().toISOString() };
  const content = JSON.parse((await bytesOf(lab, key)).toString());
  await replaceObject(lab, key, Buffer.from(JSON.stringify({ ...content, expiry })));
}

const eventsOf = (records: Withdrawn['records']) =>
  records.flatMap(({ code, how, parent, reason }) => {
    if (code === 'point.planned') return [`${how} ${parent}`];
    return code === 'point.withdrawn' || code === 'manifest.stored' ? [`${code} ${reason ?? ''}`.trim()] : [];
  });

/** The archive is complete, and nothing of the withdrawn attempt is left. */
async function assertComplete({ lab, latest }: Withdrawn): Promise<void> {
  const { snapshotId, image } = latest;
  const keys = (await keysIn(lab)).filter((key) => key.includes(snapshotId));
  assert.equal(keys.length, 4, keys.join(', '));
  const file = join(lab.directory, 'restored');
  const done = await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--to-file', file]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await assertSameBytes(file, image);
  rmSync(file);
}

test('a point whose parent is marked meanwhile is withdrawn, and continues the one before', async (t) => {
  const stored = await changedMeanwhile(t, (lab, [, , third]) => mark(lab, third));
  const [, second, third] = stored.older;
  assert.deepEqual(eventsOf(stored.records), [
    `changed-blocks ${third}`,
    'manifest.stored',
    `point.withdrawn its parent ${third} was marked for removal`,
    `changed-blocks ${second}`,
    'manifest.stored',
  ]);
  await assertComplete(stored);
});

test('if all older points are marked meanwhile, the point is withdrawn and becomes a base', async (t) => {
  const stored = await changedMeanwhile(t, async (lab, older) => {
    for (const id of older) await mark(lab, id);
  });
  const [, , third] = stored.older;
  assert.deepEqual(eventsOf(stored.records), [
    `changed-blocks ${third}`,
    'manifest.stored',
    `point.withdrawn its parent ${third} was marked for removal`,
    'base null',
    'manifest.stored',
  ]);
  await assertComplete(stored);
});

test('a point whose parent is removed meanwhile is withdrawn', async (t) => {
  const stored = await changedMeanwhile(t, async (lab, [, , third]) => {
    await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: await keyEnding(lab, `${third}.manifest.json`) }));
  });
  const [, second, third] = stored.older;
  assert.deepEqual(eventsOf(stored.records), [
    `changed-blocks ${third}`,
    'manifest.stored',
    `point.withdrawn the archive of its parent ${third} was removed`,
    `changed-blocks ${second}`,
    'manifest.stored',
  ]);
  await assertComplete(stored);
});
