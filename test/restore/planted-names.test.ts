/** Archived files whose names a restore uses itself neither redirect its writes nor get lost silently. */
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, runCli, runMigrate } from '../support/lab.ts';

/** An earlier version used a file with this name to find out the time resolution of the target. */
const NAME = '.snap-to-s3-times';

test('a restore over an earlier one does not write through the links that were restored', async (t) => {
  const lab = await labForTest(t);
  const victim = join(lab.directory, 'victim');
  writeFileSync(victim, 'precious');
  const populate = async (root: string) => symlinkSync(victim, join(root, NAME));
  const partitions = [{ content: 'ext4' as const, sizeMiB: 16, populate }];
  const { snapshotId } = await addSnapshotOf(lab, { table: 'none', partitions });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const before = statSync(victim).mtimeMs;
  const into = join(lab.directory, 'into');
  for (const flags of [[], ['--overwrite']]) {
    const done = await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--to-dir', into, ...flags]);
    assert.equal(done.code, 0, done.stderr);
    assert.equal(readlinkSync(join(into, NAME)), victim);
    assert.equal(readFileSync(victim, 'utf8'), 'precious');
    assert.equal(statSync(victim).mtimeMs, before);
  }
});

test('a file with a name that the restore itself uses is reported, not lost silently', async (t) => {
  const lab = await labForTest(t);
  const populate = async (root: string) => {
    writeFileSync(join(root, '.snap-to-s3-unfinished'), 'a file of the user');
    writeFileSync(join(root, 'other'), 'another one');
  };
  const partitions = [{ content: 'ext4' as const, sizeMiB: 16, populate }];
  const { snapshotId } = await addSnapshotOf(lab, { table: 'none', partitions });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const into = join(lab.directory, 'into');
  const done = await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--to-dir', into]);
  assert.equal(done.code, 12, done.stderr);
  assert.match(
    done.stderr,
    /\.snap-to-s3-unfinished: not restored: the restore itself uses this name; extract the file with tar/,
  );
  assert.equal(readFileSync(join(into, 'other'), 'utf8'), 'another one');
});
