/** Files out of points: the blocks come from the packs of several generations, and only those that are needed are read. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { buildDisk } from '../../lab/disks/build.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { labForTest, type RunOptions, recordsOf, runMigrate } from '../support/lab.ts';
import { INCREMENTAL } from '../support/lineages/archived-lineage.ts';
import { changeDisk } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import {
  damageNoise,
  makeNoisyFiles,
  NOISE,
  rangesRead,
  restoreFiles,
  runRestore,
  SMALL_FILES,
} from '../support/trees/noisy-files.ts';

const VOLUME = 'vol-0123456789abcdef0';

const DISK = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 96, populate: makeNoisyFiles },
    { content: 'xfs' as const, sizeMiB: 320, populate: makeNoisyFiles },
  ],
};

/** Two points of a disk. Before the second one, `etc/hostname` and `noise-2` of the first partition change. */
async function archivedPoints(t: TestContext, flags: readonly string[], options: RunOptions = {}) {
  const lab = await labForTest(t);
  const [image, changed] = [join(lab.directory, 'first.img'), join(lab.directory, 'second.img')];
  await buildDisk({ path: image, ...DISK });
  copyFileSync(image, changed);
  const add = (imagePath: string, day: number) =>
    lab.control.addSnapshot({
      imagePath,
      volumeId: VOLUME,
      startTime: `2026-01-0${day}T00:00:00Z`,
      tags: { 'snap-to-s3': 'migrate' },
    });
  const first = await add(image, 1);
  const second = await add(changed, 2);
  await changeDisk(lab, second.snapshotId, 1, async (directory) => {
    writeFileSync(join(directory, 'etc', 'hostname'), 'another\n');
    rmSync(join(directory, 'noise-2'));
  });
  const done = await runMigrate(lab, [...INCREMENTAL, ...flags], options);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  return { lab, image, ids: [first.snapshotId, second.snapshotId] as const };
}

const hostnameIn = (directory: string): string => readFileSync(join(directory, 'etc', 'hostname'), 'utf8');

for (const compression of ['lz4', 'zstd']) {
  test(`${compression}: files of each point are restored, from little more than their blocks`, async (t) => {
    const { lab, image, ids } = await archivedPoints(t, ['--compression', compression]);
    const before = (await lab.control.calls()).length;
    const [first, second] = ids;
    const one = await restoreFiles(lab, second, ['--partition', '1', '--path', ...SMALL_FILES]);
    assert.equal(hostnameIn(one.into), 'another\n');
    const read = await rangesRead(lab, before);
    assert.equal(read, one.fetched);
    assert.ok(read < 6_000_000, `${read} bytes`);
    const { into } = await restoreFiles(lab, first, ['--path', 'etc', 'noise-2']);
    for (const partition of [1, 2]) {
      const restored = join(into, String(partition));
      const { list } = await withMounted(image, partition, (original) =>
        compareTrees(join(original, 'etc'), join(restored, 'etc')),
      );
      assert.deepEqual(list, []);
      assert.ok(readFileSync(join(restored, 'noise-2')).equals(NOISE[1] ?? Buffer.alloc(0)));
    }
  });
}

test('a damaged block fails only the files that need it', async (t) => {
  const { lab, ids } = await archivedPoints(t, []);
  const [first, second] = ids;
  const key = await damageNoise(lab, NOISE[0] ?? Buffer.alloc(0));
  for (const id of [first, second]) {
    const { into } = await restoreFiles(lab, id, ['--partition', '1', '--path', 'etc']);
    assert.equal(hostnameIn(into), id === first ? 'machine\n' : 'another\n');
    const argv = [id, '--to-dir', join(lab.directory, id), '--partition', '1', '--path', 'noise-1'];
    const done = await runRestore(lab, argv);
    assert.equal(done.code, 12, done.stdout + done.stderr);
    assert.ok(done.stdout.includes(`${key}: block `), done.stdout);
    assert.equal(
      recordsOf(done).some(({ code }) => code === 'object.restored'),
      false,
    );
  }
});

test('encrypted points are refused', async (t) => {
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, 'ops@example.com');
  const sealed = await archivedPoints(t, ['--gpg-recipient', 'ops@example.com'], { env });
  const into = join(sealed.lab.directory, 'files');
  const refused = await runRestore(sealed.lab, [sealed.ids[0], '--to-dir', into, '--path', 'etc'], { env });
  assert.equal(refused.code, 10, refused.stdout + refused.stderr);
  assert.match(refused.stdout, /its packs are encrypted.*--to-file/);
  assert.equal(existsSync(into), false);
});

test('all packs that the point needs are thawed first', async (t) => {
  const { lab, ids } = await archivedPoints(t, ['--storage-class', 'DEEP_ARCHIVE']);
  const argv = ['--to-dir', join(lab.directory, 'files'), '--partition', '1', '--path', 'etc'];
  const dry = await runRestore(lab, [ids[1], ...argv, '--dry-run']);
  assert.equal(dry.code, 0, dry.stdout + dry.stderr);
  const offered = recordsOf(dry).find(({ code }) => code === 'thaw.offered')?.['objects'];
  assert.equal((await runRestore(lab, [ids[1], ...argv])).code, 1);
  const started = await runRestore(lab, [ids[1], ...argv, '--yes']);
  assert.equal(started.code, 13, started.stdout + started.stderr);
  assert.equal(recordsOf(started).filter(({ code }) => code === 'thaw.requested').length, offered);
  const { into } = await restoreFiles(lab, ids[1], ['--partition', '1', '--path', 'etc', '--yes', '--wait']);
  assert.equal(hostnameIn(into), 'another\n');
});
