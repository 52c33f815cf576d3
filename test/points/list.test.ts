/** The list shows points as such: what they store, what they share, and whether anything is missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { keyEnding, keysIn } from '../support/archives.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { INCREMENTAL } from '../support/lineages/archived-lineage.ts';
import { makeLineage } from '../support/lineages/lineage.ts';

const BLOCK = 524_288;

const runList = (lab: TestLab, argv: readonly string[]) => runCli(lab.env, ['list', '--bucket', BUCKET, ...argv]);

const remove = (lab: TestLab, Key: string) => lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }));

interface Listed {
  snapshot: string;
  state: string;
  layout: string;
  objects: object[];
  point: { how: string; parent: string | null; diskBytes: number; ownBytes: number; sharedBytes: number };
}

async function listed(lab: TestLab): Promise<Listed[]> {
  const done = await runList(lab, ['--json']);
  return recordsOf(done).flatMap(({ code, archive }) => (code === 'archive.listed' ? [archive as Listed] : []));
}

test('points are listed with their own and their shared bytes; one shows its facts and its generations', async (t) => {
  const lab = await labForTest(t);
  const points = await makeLineage(lab, [{ write: [0, 1, 2] }, { write: [1, 5] }, {}], {
    tags: { 'snap-to-s3': 'migrate', Name: 'web' },
  });
  const done = await runMigrate(lab, INCREMENTAL);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const [first, second, third] = points.map(({ snapshotId }) => snapshotId);
  const found = await listed(lab);
  assert.deepEqual(
    found.map(({ snapshot, state, layout, objects, point: { how, parent, diskBytes, sharedBytes } }) => [
      [snapshot, state, layout, objects.length],
      [how, parent, diskBytes, sharedBytes / BLOCK],
    ]),
    [
      [
        [first, 'complete', 'image', 1],
        ['base', null, 2048 * BLOCK, 0],
      ],
      [
        [second, 'complete', 'image', 1],
        ['changed-blocks', first, 2048 * BLOCK, 2],
      ],
      [
        [third, 'complete', 'image', 0],
        ['changed-blocks', second, 2048 * BLOCK, 4],
      ],
    ],
  );
  assert.ok(found.every(({ point, objects }) => point.ownBytes > 0 === objects.length > 0));
  const { stdout } = await runList(lab, []);
  assert.match(stdout, /incremental: disk of 1.00 GiB, 1.00 MiB of it from 1 other snapshot, not validated/);
  const shown = await runList(lab, [third ?? '']);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /tags +.*Name=web/);
  assert.match(shown.stdout, RegExp(`incremental +base ${first}, changed blocks since ${second}`));
  assert.match(shown.stdout, /own data +0 B in 0 packs/);
  for (const id of [first, second]) assert.match(shown.stdout, RegExp(`needs +1.00 MiB stored for ${id}`));
});

test('a point without its pack is incomplete, and one without its manifest is unfinished', async (t) => {
  const lab = await labForTest(t);
  const points = await makeLineage(lab, [{ write: [0, 1, 2] }, { write: [1, 5] }, { write: [7] }], {
    tags: { 'snap-to-s3': 'migrate' },
  });
  assert.equal((await runMigrate(lab, INCREMENTAL)).code, 0);
  const [, second, third] = points.map(({ snapshotId }) => snapshotId);
  await remove(lab, (await keysIn(lab)).find((key) => key.includes(second ?? '-') && key.includes('.pack.')) ?? '');
  await remove(lab, await keyEnding(lab, `${third}.manifest.json`));
  assert.deepEqual(
    (await listed(lab)).map(({ state }) => state),
    ['complete', 'incomplete', 'unfinished'],
  );
  for (const argv of [
    ['restore', third ?? '', '--to-file', `${lab.directory}/disk`],
    ['list', third ?? ''],
  ]) {
    const refused = await runCli(lab.env, [...argv, '--bucket', BUCKET]);
    assert.match(refused.stdout + refused.stderr, /has no manifest and is unfinished/);
  }
  const clean = await runCli(lab.env, ['clean', '--bucket', BUCKET, '--yes', '--older-than', '0']);
  assert.doesNotMatch(clean.stdout, /\.pack\./);
});
