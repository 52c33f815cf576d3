/** Times that the target cannot keep are counted: filesystems change them without an error. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { timesKeptIn } from '../../src/operations/restore/files/times-kept-in.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate } from '../support/lab.ts';

test('times that the target cannot keep are counted', async (t) => {
  const lab = await labForTest(t);
  const dates = {
    'after 2038': '2040-01-01',
    'in 1901': '@-2147483648',
    'with a fraction': '@1000000001.123456789',
    'as it is': '@1000000001',
  };
  const populate = async (root: string) => {
    for (const [name, date] of Object.entries(dates)) {
      writeFileSync(join(root, name), name);
      await run(['touch', '--date', date, join(root, name)]);
    }
    for (const directory of ['lost+found', '.']) await run(['touch', '--date', '2001-02-03', join(root, directory)]);
  };
  const { snapshotId } = await addSnapshotOf(lab, {
    table: 'none',
    partitions: [{ content: 'ext4', sizeMiB: 40, populate }],
  });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const restoreTo = async (target: string, ...flags: string[]) => {
    const argv = ['restore', '--bucket', BUCKET, snapshotId, '--to-dir', target, ...flags];
    const done = await runCli(lab.env, argv);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    return done;
  };
  const whole = await restoreTo(join(lab.directory, 'whole'), '--json');
  assert.equal(
    recordsOf(whole).find(({ code }) => code === 'files.incomplete'),
    undefined,
  );

  const target = join(lab.directory, 'old');
  mkdirSync(target);
  const image = join(lab.directory, 'old.img');
  await run(['truncate', '--size', '80M', image]);
  await run(['mke2fs', '-q', '-F', '-t', 'ext4', '-I', '128', image]);
  await run(['mount', '-o', 'loop', image, target]);
  try {
    const signal = AbortSignal.timeout(60_000);
    const [from, to] = [-2147483648n * 1_000_000_000n, 2147483647n * 1_000_000_000n];
    assert.deepEqual(await timesKeptIn(target, signal), { from, to, step: 1_000_000_000n });
    const told = await restoreTo(target, '--json');
    const { count, times } = recordsOf(told).find(({ code }) => code === 'files.incomplete') ?? {};
    assert.deepEqual({ count, times }, { count: 0, times: 2 }, told.stdout);
    const shown = await restoreTo(target, '--overwrite');
    assert.match(shown.stderr, /the times of 2 files were changed to times that the filesystem can store/);
  } finally {
    await run(['umount', target]);
  }
});
