/**
 * A lineage of twelve snapshots with random changes, growth and an encrypted copy: every point gives the exact bytes, to the
 * program and to contrib/restore.py, also after some points have expired and after a pack was damaged.
 */
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CopySnapshotCommand } from '@aws-sdk/client-ec2';
import { fetchBucket, keysIn } from '../support/archives.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, runProgram, type TestLab } from '../support/lab.ts';
import { INCREMENTAL } from '../support/lineages/archived-lineage.ts';
import { type LineageSnapshot, type LineageStep, makeLineage } from '../support/lineages/lineage.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { randomOf, seededIntegers } from '../support/sampled.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';

const READER = join(import.meta.dirname, '..', '..', 'contrib', 'restore.py');
const STEPS = 12;
/** The blocks that change. The last ones exist after the volume has grown. */
const HOT = [...Array.from({ length: 20 }, (_, index) => index), 700, 2047];
const GROWN = [2048, 4095];
const GROWS_AT = 6;
const DAYS_8 = 8 * 86_400_000;

interface Point extends LineageSnapshot {
  /** The steps whose blocks it has. */
  needs: ReadonlySet<number>;
}

type Point12 = Pick<Point, 'snapshotId' | 'image' | 'needs'>;

function randomSteps(): LineageStep[] {
  const draw = seededIntegers();
  return Array.from({ length: STEPS }, (_, step) => {
    const blocks = step < GROWS_AT ? HOT : [...HOT, ...GROWN];
    const chosen = new Set(
      Array.from({ length: step === 0 ? 12 : draw(1, 6) }, () => blocks[draw(0, blocks.length)] ?? 0),
    );
    const kinds = [...chosen].map((block) => ({ block, kind: step === 0 ? 0 : draw(0, 5) }));
    const those = (...wanted: number[]) => kinds.filter(({ kind }) => wanted.includes(kind)).map(({ block }) => block);
    const grow = step === GROWS_AT ? { growToGiB: 2 } : {};
    return { ...grow, write: those(0, 1, 2), writeZeros: those(3), trim: those(4) };
  });
}

/** For each step, those in which its blocks with data were written last. */
function needsOf(steps: readonly LineageStep[]): ReadonlySet<number>[] {
  const writer = new Map<number, number>();
  return steps.map(({ write = [], writeZeros = [], trim = [] }, step) => {
    for (const block of [...writeZeros, ...trim]) writer.delete(block);
    for (const block of write) writer.set(block, step);
    return new Set(writer.values());
  });
}

async function assertRestored(lab: TestLab, points: readonly Point12[]): Promise<void> {
  const bucket = await fetchBucket(lab);
  const keys = await keysIn(lab);
  for (const { snapshotId, image } of points) {
    const file = join(lab.directory, 'restored');
    const done = await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--to-file', file]);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    await assertSameBytes(file, image);
    rmSync(file);
    const manifest = keys.find((key) => key.endsWith(`${snapshotId}.manifest.json`)) ?? '';
    const read = await runProgram(['/usr/bin/python3', READER, 'image', bucket, manifest, file], { env: lab.env });
    assert.equal(read.code, 0, read.stderr);
    await assertSameBytes(file, image);
    rmSync(file);
  }
  rmSync(bucket, { recursive: true });
}

/** Makes the lineage and an encrypted copy of its last snapshot, and archives all of them. */
async function archived(lab: TestLab): Promise<{ points: Point[]; copy: Point12 }> {
  const steps = randomSteps();
  const needs = needsOf(steps);
  const made = await makeLineage(lab, steps, { tags: { 'snap-to-s3': 'migrate' } });
  const points = made.map((snapshot, step): Point => ({ ...snapshot, needs: needs[step] ?? new Set() }));
  const last = points.at(-1) ?? assert.fail();
  const input = { SourceRegion: 'us-east-1', SourceSnapshotId: last.snapshotId, Encrypted: true };
  const { SnapshotId: id = '' } = await lab.ec2.send(new CopySnapshotCommand(input));
  for (const selection of [['--all'], ['--snapshots', id]]) {
    const done = await runMigrate(lab, [...selection, ...INCREMENTAL.slice(1)]);
    assert.equal(done.code, 0, done.stdout + done.stderr);
  }
  return { points, copy: { snapshotId: id, image: last.image, needs: new Set() } };
}

async function expire(lab: TestLab, keep: number): Promise<void> {
  const argv = ['expire', '--bucket', BUCKET, '--keep-last', String(keep), '--yes'];
  assert.equal((await runCli(lab.env, argv)).code, 0);
  await lab.control.setClock(new Date(Date.now() + DAYS_8));
  const done = await runCli(lab.env, argv);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await lab.control.setClock(null);
  await keysIn(lab).catch(() => {});
}

test('twelve snapshots and an encrypted copy: every point is exact, also after expiry and damage', async (t) => {
  const lab = await labForTest(t);
  const { points, copy } = await archived(lab);
  await assertRestored(lab, [...randomOf(3, points), copy]);
  await expire(lab, 5);
  const kept = points.slice(-5);
  await assertRestored(lab, [...randomOf(2, kept), copy]);
  const listed = await runCli(lab.env, ['list', '--bucket', BUCKET]);
  assert.equal(listed.stdout.match(/ {2}complete /g)?.length, kept.length + 1, listed.stdout);
  const lost = Math.max(...[...(kept[0]?.needs ?? [])]);
  const pack = (await keysIn(lab)).find(
    (key) => key.includes(`${points[lost]?.snapshotId}.`) && key.includes('.pack.'),
  );
  const body = await bytesOf(lab, pack ?? '');
  // Every block of the pack is damaged.
  for (let at = 100; at < body.length; at += 1000) body[at] = (body[at] ?? 0) ^ 1;
  await replaceObject(lab, pack ?? '', body);
  const [broken, sound] = [true, false].map((is) => kept.filter(({ needs }) => needs.has(lost) === is));
  await assertRestored(lab, [...(sound ?? []), copy]);
  for (const { snapshotId } of broken ?? []) {
    const file = join(lab.directory, 'broken');
    const done = await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--to-file', file]);
    assert.equal(done.code, 12, done.stdout + done.stderr);
    assert.ok(!existsSync(file));
  }
  const argv = [
    'validate',
    '--archive-only',
    '--bucket',
    BUCKET,
    '--json',
    '--snapshots',
    ...kept.map(({ snapshotId }) => snapshotId),
  ];
  const validated = await runCli(lab.env, argv);
  assert.equal(validated.code, 12, validated.stdout + validated.stderr);
  const failed = recordsOf(validated).filter(
    ({ code, outcome }) => code === 'snapshot.finished' && outcome === 'failed',
  );
  assert.deepEqual(
    failed.map(({ snapshot }) => snapshot).sort(),
    (broken ?? []).map(({ snapshotId }) => snapshotId).sort(),
  );
  for (const { error } of failed)
    assert.match(String((error as Error).message), RegExp(points[lost]?.snapshotId ?? '-'));
});
