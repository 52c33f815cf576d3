/** Paths that exceed the limit of system calls are restored like others. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { MAX_RESTORABLE_PATH } from '../../src/archive/tar/long-paths.ts';
import { tooLong } from '../../src/indexing/index-tar.ts';
import { keyEnding, readManifest } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { imageOf } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { volumeImage, volumesIn } from '../support/volumes.ts';

/** Creates nested directories and, in the deepest one, files, links, and a directory that is older than its content. */
const PROGRAM = `use strict;
chdir $ARGV[0] or die $!;
for (1..$ARGV[2]) { mkdir 'd' x $ARGV[1] or die $!; chdir 'd' x $ARGV[1] or die $! }
for my $name ('one', 'two') { open(my $file, '>', $name) or die $!; print $file $name; close $file }
link 'one', 'linked' or die $!;
symlink '../nowhere', 'symbolic' or die $!;
mkdir 'old' or die $!;
open(my $file, '>', 'old/file') or die $!; close $file;
utime 1e9, 1e9, 'old', '.' or die $!;`;

const makeDeep = async (root: string, nameBytes: number, depth: number): Promise<void> => {
  execFileSync('perl', ['-e', PROGRAM, root, String(nameBytes), String(depth)]);
};

const restore = (lab: TestLab, ...argv: string[]) => runCli(lab.env, ['restore', '--bucket', BUCKET, ...argv]);

test('paths beyond PATH_MAX are restored: a partition or a single file to a directory, and the disk to a volume', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const populate = async (root: string) => {
    for (const [name, bytes, depth] of [
      ['deep', 100, 45],
      ['deepest', 255, 40],
    ] as const) {
      mkdirSync(join(root, name));
      await makeDeep(join(root, name), bytes, depth);
    }
    await run(['touch', '--date', '2001-02-03', root]);
  };
  const types = ['ext4', 'xfs'] as const;
  const partitions = types.map((content) => ({ content, sizeMiB: content === 'xfs' ? 320 : 24, populate }));
  const { snapshotId } = await addSnapshotOf(lab, { table: 'gpt', partitions });
  const migrated = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(migrated.code, 0, migrated.stderr);
  await keyEnding(lab, '.2.tar.lz4');

  const target = join(lab.directory, 'all');
  const done = await restore(lab, snapshotId, '--partition', '1', '--to-dir', target);
  assert.equal(done.code, 0, done.stderr);
  await withMounted(imageOf(lab, snapshotId), 1, async (root) => {
    const { list, compared } = await compareTrees(root, target);
    assert.deepEqual(list, []);
    assert.ok(compared > 85);
  });

  const alone = join(lab.directory, 'alone');
  const path = `deep/${'d'.repeat(100).concat('/').repeat(45)}linked`;
  const some = await restore(lab, snapshotId, '--partition', '2', '--to-dir', alone, '--path', path);
  assert.equal(some.code, 0, some.stderr);
  assert.deepEqual(readdirSync(alone), ['deep']);
  assert.match(some.stderr, /1 file, 3 B/);

  const made = await restore(lab, snapshotId, '--to-volume', '--mount-point', join(lab.directory, 'mnt'));
  assert.equal(made.code, 0, made.stderr);
  const [volume] = await volumesIn(lab);
  for (const partition of [1, 2]) {
    await withMounted(imageOf(lab, snapshotId), partition, (before) =>
      withMounted(volumeImage(lab, volume?.VolumeId ?? ''), partition, async (after) => {
        assert.deepEqual((await compareTrees(before, after)).list, []);
      }),
    );
  }
});

test('a partition with paths that are too deep for a restore is stored as an image', async (t) => {
  const lab = await labForTest(t);
  const populate = (root: string) => makeDeep(root, 255, Math.ceil(MAX_RESTORABLE_PATH / 256) + 1);
  await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'ext4', sizeMiB: 24, populate }] });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /stored as a raw image: .* has a path of \d+ bytes, but restores support only \d+/);
  const { objects } = await readManifest(lab);
  assert.deepEqual(
    objects.map(({ layout }) => layout),
    ['image'],
  );
  assert.equal(tooLong(Buffer.from('a/'.repeat(MAX_RESTORABLE_PATH / 2))), null);
});
