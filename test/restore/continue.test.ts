/** Interrupted restores resume: existing data is verified and not fetched again. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { keyEnding } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage } from '../support/disks.ts';
import { BUCKET, labForTest, type RunOptions, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { oneIn } from '../support/sampled.ts';
import { bytesOf, imageOf } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { until } from '../support/until.ts';

const MiB = 2 ** 20;

const runRestore = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli({ ...lab.env, ...options.env }, ['restore', '--bucket', BUCKET, '--json', ...argv], options);

/** Adds a snapshot of a random disk, so that no two of its blocks are equal. */
async function addNoise(lab: TestLab, sizeMiB: number) {
  const image = join(lab.directory, 'noise.img');
  writeFileSync(image, randomBytes(sizeMiB * MiB));
  return addSnapshotOfImage(lab, image);
}

/** Makes S3 serve the first `count` ranges of an object. Later requests hang. */
const giveOnlyRanges = (lab: TestLab, key: string, count: number) =>
  lab.control.script({
    service: 's3',
    operation: 'GetObject',
    match: { key },
    skip: count,
    times: 100,
    action: { kind: 'hang' },
  });

for (const [codec, suffix] of oneIn(2, [
  ['lz4', '.img.lz4'],
  ['zstd', '.img.zst'],
])) {
  test(`${codec}: a restore that writes two segments of an image resumes after it was killed`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addNoise(lab, 160);
    assert.equal((await runMigrate(lab, ['--all', '--dd', '--compression', codec ?? ''])).code, 0);
    const key = await keyEnding(lab, suffix ?? '');
    const into = join(lab.directory, 'into');
    mkdirSync(into);
    const file = join(into, 'disk.img');
    const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-${codec}` };
    await giveOnlyRanges(lab, key, 5);
    const first = runRestore(lab, [snapshotId, '--to-file', file], { env });
    await until(async () => existsSync(`${file}.unfinished`) && statSync(`${file}.unfinished`).blocks * 512 > 20 * MiB);
    killFamily(env.SNAP_TO_S3_TEST_RUN);
    assertKilled(await first);
    await lab.control.clearFaults();
    const rest = await runRestore(lab, [snapshotId, '--to-file', file]);
    assert.equal(rest.code, 0, rest.stdout + rest.stderr);
    const [continued, restored] = ['restore.continued', 'object.restored'].map((code) =>
      recordsOf(rest).find((record) => record['code'] === code),
    );
    assert.ok(Number(continued?.['bytes']) >= 16 * MiB, JSON.stringify(continued));
    assert.ok(Number(restored?.['fetchedBytes']) < (await bytesOf(lab, key)).length - 12 * MiB);
    assert.equal(restored?.['bytes'], statSync(file).size);
    await assertSameBytes(file, imageOf(lab, snapshotId));
    assert.deepEqual(readdirSync(into), ['disk.img']);
  });
}

test('an unfinished file of another image is overwritten, and data after its matching start is replaced', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addNoise(lab, 12);
  assert.equal((await runMigrate(lab, ['--all', '--dd'])).code, 0);
  const image = imageOf(lab, snapshotId);
  const file = join(lab.directory, 'disk.img');
  for (const good of [0, 5 * MiB]) {
    await run(['cp', image, `${file}.unfinished`]);
    truncateSync(`${file}.unfinished`, good);
    writeFileSync(`${file}.unfinished`, randomBytes(30 * MiB), { flag: 'a' });
    const done = await runRestore(lab, [snapshotId, '--to-file', file, '--overwrite']);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    await assertSameBytes(file, image);
  }
});

test('an interrupted restore of files resumes', async (t) => {
  const lab = await labForTest(t);
  const populate = async (root: string) => {
    for (let at = 0; at < 60; at++) writeFileSync(join(root, `${at}`), randomBytes(MiB));
    await run(['ln', join(root, '0'), join(root, 'again')]);
    await run(['setfattr', '-n', 'user.x', '-v', 'y', join(root, '1')]);
    await run(['chmod', '4755', join(root, '2')]);
  };
  const { snapshotId } = await addSnapshotOf(lab, {
    table: 'none',
    partitions: [{ content: 'ext4', sizeMiB: 100, populate }],
  });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const key = await keyEnding(lab, '.tar.lz4');
  const into = join(lab.directory, 'into');
  const count = () => (existsSync(into) ? readdirSync(into).length : 0);
  await giveOnlyRanges(lab, key, 6);
  let stop: () => void = () => {};
  const first = runRestore(lab, [snapshotId, '--to-dir', into], {
    onLine: (_line, signal) => {
      stop = () => signal('SIGINT');
    },
  });
  // Six ranges hold 48 of the 61 MiB. The files that are complete in them are restored however slow the machine is.
  await until(async () => count() > 38);
  stop();
  assert.equal((await first).code, 130);
  await lab.control.clearFaults();
  // A changed file and a truncated file do not count as restored.
  const [changed = '', half = ''] = readdirSync(into).filter((name) => /^\d+$/.test(name) && Number(name) > 2);
  await run(['touch', '--date', '2020-01-01', join(into, changed)]);
  truncateSync(join(into, half), 1000);
  const rest = await runRestore(lab, [snapshotId, '--to-dir', into, '--privileged']);
  assert.equal(rest.code, 0, rest.stdout + rest.stderr);
  const continued = recordsOf(rest).find(({ code }) => code === 'restore.continued');
  assert.ok(Number(continued?.['files']) > 25, JSON.stringify(continued));
  const restored = recordsOf(rest).find(({ code }) => code === 'object.restored');
  assert.ok(Number(restored?.['fetchedBytes']) < 60 * MiB, JSON.stringify({ continued, restored }));
  await withMounted(imageOf(lab, snapshotId), null, async (root) => {
    const { list } = await compareTrees(root, into);
    assert.deepEqual(list, []);
  });
});
