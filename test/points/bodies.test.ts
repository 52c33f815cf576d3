/** Bodies of a point that stall, or arrive with a flipped bit, once and repeatedly, in every command that reads points. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import type { FaultAction, FaultSpec } from '../../lab/core/contract.ts';
import { inParallel } from '../../src/lib/parallel.ts';
import { keysIn } from '../support/archives.ts';
import { BUCKET, type Finished, recordsOf, runCli, type TestLab } from '../support/lab.ts';
import { archivedLineage } from '../support/lineages/archived-lineage.ts';
import { named, oneIn } from '../support/sampled.ts';
import { bytesOf } from '../support/tamper.ts';

type Part = 'manifest' | 'map' | 'blocks' | 'pack';

interface Stored {
  lab: TestLab;
  /** The snapshot of the latest point. */
  point: string;
  /** A later snapshot of the same volume, which is not archived. */
  next: string;
  /** The keys of the latest point. */
  keys: Record<Part, string>;
}

async function stored(t: TestContext): Promise<Stored> {
  const { lab, points } = await archivedLineage(t);
  const last = points.at(-1);
  assert.ok(last);
  const { volumeId, image: imagePath, snapshotId: point } = last;
  const later = { imagePath, volumeId, startTime: '2026-02-01T00:00:00Z', tags: { 'snap-to-s3': 'migrate' } };
  const { snapshotId: next } = await lab.control.addSnapshot(later);
  const all = await keysIn(lab);
  const one = (ending: string): string => {
    const [found = '', ...others] = all.filter((key) => key.includes(point) && key.includes(ending));
    assert.ok(found !== '' && others.length === 0, `${ending}: ${all}`);
    return found;
  };
  const keys = { manifest: one('.manifest.json'), map: one('.map.'), blocks: one('.blocks.'), pack: one('.pack.') };
  return { lab, point, next, keys };
}

interface Reading {
  argv: (stored: Stored, target: string) => string[];
  reads: readonly Part[];
}

const ALL = ['manifest', 'map', 'blocks', 'pack'] as const;
const SMALL = ['manifest', 'map', 'blocks'] as const;

const READINGS: Record<string, Reading> = {
  // It reads the point as the parent of a new one. It is the first, because a point that was found damaged has no children.
  'migrate --incremental': {
    argv: ({ next }) => ['migrate', '--incremental', '--snapshots', next, '--source', 'direct'],
    reads: SMALL,
  },
  'restore --to-file': { argv: ({ point }, target) => ['restore', point, '--to-file', target], reads: ALL },
  'restore --to-snapshot': { argv: ({ point }) => ['restore', point, '--to-snapshot'], reads: ALL },
  validate: { argv: ({ point }) => ['validate', '--snapshots', point, '--source', 'direct'], reads: SMALL },
  'validate --archive-only': { argv: ({ point }) => ['validate', '--snapshots', point, '--archive-only'], reads: ALL },
};

/** Shows whether a stalled body is abandoned: a test hangs until this deadline, and fails, if it is not. */
const DEADLINE = { timeout: 600_000 };

async function onBody({ lab, keys }: Stored, part: Part, action: FaultAction, often: Pick<FaultSpec, 'every'> = {}) {
  await lab.control.script({ service: 's3', operation: 'GetObject', match: { key: keys[part] }, ...often, action });
}

const halfOf = async ({ lab, keys }: Stored, part: Part): Promise<number> =>
  (await bytesOf(lab, keys[part])).length >> 1;

const run = ({ lab }: Stored, argv: readonly string[]): Promise<Finished> =>
  runCli(lab.env, [...argv, '--bucket', BUCKET, '--call-timeout', '1', '--json']);

async function assertPlayed({ lab }: Stored): Promise<void> {
  const unplayed = await lab.control.unusedFaults();
  await lab.control.clearFaults();
  assert.deepEqual(
    unplayed.map(({ match }) => match?.['key']),
    [],
    'what it does not read',
  );
}

const rereadIn = (done: Finished): unknown[] =>
  recordsOf(done).flatMap(({ code, key }) => (code === 'object.reread' ? [key] : []));

const snapshotsIn = async ({ lab }: Stored): Promise<number> =>
  (await lab.ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }))).Snapshots?.length ?? 0;

/** They have a way of their own through the bodies of a point. */
const SELECTED = ['restore --to-file', 'validate --archive-only', 'migrate --incremental'];

test('a body of a point that stalls, or arrives with a flipped bit, is read again', DEADLINE, async (t) => {
  for (const [name, { argv, reads }] of named(SELECTED, READINGS)) {
    await t.test(name, async (inner) => {
      const point = await stored(inner);
      for (const part of reads) await onBody(point, part, { kind: 'stall', afterBytes: await halfOf(point, part) });
      const target = join(point.lab.directory, 'stalled.img');
      const done = await run(point, argv(point, target));
      await assertPlayed(point);
      assert.equal(done.code, 0, done.stdout + done.stderr);

      if (name.startsWith('migrate')) return;
      const flipped = reads.filter((part) => part !== 'manifest');
      for (const part of flipped) await onBody(point, part, { kind: 'flip', at: await halfOf(point, part) });
      const again = await run(point, argv(point, join(point.lab.directory, 'flipped.img')));
      await assertPlayed(point);
      assert.equal(again.code, 0, again.stdout + again.stderr);
      assert.deepEqual(rereadIn(again).sort(), flipped.map((part) => point.keys[part]).sort());
    });
  }
});

/** Number of concurrent commands. They wait most of the time. */
const CONCURRENCY = 4;

for (const part of oneIn(2, ALL)) {
  test(`the ${part} of a point always stalls: commands fail, name it, and leave nothing`, DEADLINE, async (t) => {
    const point = await stored(t);
    const [keys, snapshots] = [await keysIn(point.lab), await snapshotsIn(point)];
    await onBody(point, part, { kind: 'stall', afterBytes: 40 }, { every: 1 });
    const affected = Object.entries(READINGS).filter(([, { reads }]) => reads.includes(part));
    await inParallel(affected, CONCURRENCY, t.signal, async ([name, { argv }]) => {
      const target = join(point.lab.directory, 'never.img');
      const done = await run(point, argv(point, target));
      assert.equal(done.code, 1, `${name}: ${done.stdout}${done.stderr}`);
      const said = done.stdout + done.stderr;
      assert.ok(said.includes(`could not read s3://${BUCKET}/${point.keys[part]}: `), `${name}: ${said}`);
      assert.ok(!existsSync(target), name);
    });
    await point.lab.control.clearFaults();
    assert.deepEqual(await keysIn(point.lab), keys, 'objects of a point that is not whole');
    assert.equal(await snapshotsIn(point), snapshots, 'a snapshot that is not whole');
  });

  test(`the ${part} of a point always arrives with a flipped bit: nothing is made of it`, DEADLINE, async (t) => {
    if (part === 'manifest') return t.skip('no hash of a manifest is recorded anywhere');
    const point = await stored(t);
    const snapshots = await snapshotsIn(point);
    await onBody(point, part, { kind: 'flip', at: await halfOf(point, part) }, { every: 1 });
    for (const [name, { argv, reads }] of Object.entries(READINGS)) {
      if (!reads.includes(part)) continue;
      const target = join(point.lab.directory, 'never.img');
      const done = await run(point, argv(point, target));
      const said = `${name}: ${done.stdout}${done.stderr}`;
      assert.deepEqual(rereadIn(done), [point.keys[part]], said);
      assert.ok(!existsSync(target), said);
      if (name.startsWith('migrate')) {
        assert.equal(done.code, 0, said);
        const planned = recordsOf(done).find(({ code }) => code === 'point.planned');
        assert.equal(planned?.['how'], 'base', 'a damaged parent is not continued');
        assert.ok(String(planned?.['reason']).includes(point.keys[part]), said);
      } else assert.equal(done.code, 12, said);
    }
    await point.lab.control.clearFaults();
    assert.equal(await snapshotsIn(point), snapshots, 'a snapshot that is not whole');
  });
}
