/** Large numbers of files and deep directories. */
import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withMounted } from '../../lab/disks/inspect.ts';
import { extractTar, keyEnding, readManifest, tarNames } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { labForTest, runMigrate } from '../support/lab.ts';
import { fullOr } from '../support/sampled.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';
import { makeManyFiles } from '../support/trees/trees.ts';

test('directories deeper than PATH_MAX are in the archive', async (t) => {
  const lab = await labForTest(t);
  const populate = (directory: string) => makeNastyTree(directory, 60);
  await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'ext4', sizeMiB: 640, populate }] });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  const names = await tarNames(lab, await keyEnding(lab, '.tar.lz4'));
  assert.ok(names.includes(`./${'d'.repeat(100).concat('/').repeat(60)}bottom`), 'the bottom is missing');
});

const MANY = fullOr('files', 50_000, 6_000);

test(`${MANY} small files`, async (t) => {
  const lab = await labForTest(t);
  const populate = async (directory: string) => makeManyFiles(directory, MANY);
  const disk = await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'ext4', sizeMiB: 1000, populate }] });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  const restored = await extractTar(lab, await keyEnding(lab, '.tar.lz4'));
  const { compared, list } = await withMounted(disk.image, null, (original) => compareTrees(original, restored));
  assert.deepEqual(list, []);
  assert.ok(compared > MANY);
});

test('a sparse file of 5 GB stays sparse', async (t) => {
  const lab = await labForTest(t);
  const populate = async (directory: string) => {
    const path = join(directory, 'sparse');
    writeFileSync(path, 'beginning');
    truncateSync(path, 5e9);
    writeFileSync(path, 'end', { flag: 'a' });
  };
  const disk = await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'ext4', sizeMiB: 640, populate }] });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  const restored = await extractTar(lab, await keyEnding(lab, '.tar.lz4'));
  const { list } = await withMounted(disk.image, null, (original) => compareTrees(original, restored));
  assert.deepEqual(list, []);
  const [object] = (await readManifest(lab)).objects;
  assert.ok(
    (object?.plainBytes ?? Number.POSITIVE_INFINITY) < 2 ** 20,
    `${object?.plainBytes} bytes for two blocks of data`,
  );
});
