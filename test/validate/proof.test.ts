/** Correct archives of every filesystem, layout, codec and cipher match, with the right tags and reports. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Content } from '../../lab/disks/contents.ts';
import { keysIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage, fillPlainly } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, runValidate } from '../support/lab.ts';
import { oneIn } from '../support/sampled.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';

/** Directory levels at which paths exceed the limit of system calls. */
const TOO_DEEP = 45;

const fillNastily = (directory: string) => makeNastyTree(directory, TOO_DEEP);

const fillFatally = async (directory: string): Promise<void> => {
  mkdirSync(join(directory, 'Boot Loader'));
  writeFileSync(join(directory, 'Boot Loader', 'Größe of a Kernel.efi'), 'x'.repeat(300_000));
};

const FILESYSTEMS: [Content, number, (directory: string) => Promise<void>][] = [
  ['ext2', 640, fillNastily],
  ['ext3', 640, fillNastily],
  ['ext4', 640, fillNastily],
  ['xfs', 320, fillNastily],
  ['btrfs', 256, fillNastily],
  ['ntfs', 16, fillPlainly],
  ['vfat', 16, fillFatally],
];

for (const [content, sizeMiB, populate] of FILESYSTEMS) {
  test(`${content} with everything that it can hold matches its archive`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab, { table: 'none', partitions: [{ content, sizeMiB, populate }] });
    assert.equal((await runMigrate(lab, ['--all'])).code, 0);
    const done = await runValidate(lab, ['--all', '--json']);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    const report = recordsOf(done).find(({ code }) => code === 'snapshot.validated');
    assert.ok(report);
    assert.equal(report['differenceCount'], 0);
    assert.equal(report['compared'], 'everything');
    assert.ok((report['members'] as number) >= 3);
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  });
}

const DISK = {
  table: 'gpt',
  partitions: [
    { content: 'bios-boot', sizeMiB: 1 },
    { content: 'ext4', sizeMiB: 24, populate: fillPlainly },
    { content: 'xfs', sizeMiB: 320, populate: fillPlainly },
    { content: 'swap', sizeMiB: 4 },
    { content: 'random', sizeMiB: 2 },
  ],
} as const satisfies Parameters<typeof addSnapshotOf>[1] & object;

for (const argv of oneIn(2, [[], ['--compression', 'zstd'], ['--dd', '--compression', 'zstd'], ['--dd']])) {
  test(`a disk of several partitions, migrated with [${argv.join(' ')}], matches its archive`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab, { ...DISK, partitions: [...DISK.partitions] });
    assert.equal((await runMigrate(lab, ['--all', ...argv])).code, 0);
    const done = await runValidate(lab, ['--all']);
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stderr, new RegExp(`${snapshotId}: archive compared with the snapshot.* no differences`));
    const manifest = await readManifest(lab);
    assert.ok(manifest.validatedAt);
    for (const { plainSha256 } of manifest.objects) assert.match(plainSha256 ?? '', /^[0-9a-f]{64}$/);
  });
}

test('migrate --validate compares with the same volume before it sets the tag', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, { ...DISK, partitions: [...DISK.partitions] });
  const done = await runMigrate(lab, ['--all', '--validate', '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  const codes = recordsOf(done).map(({ code }) => code);
  assert.equal(codes.filter((code) => code === 'volume.created').length, 1);
  assert.ok(codes.indexOf('snapshot.validated') < codes.indexOf('manifest.stored'));
  assert.ok((await readManifest(lab)).validatedAt);
});

test('the command line of version 0 still works', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const mnt = join(lab.directory, 'mnt');
  const common = ['--bucket', BUCKET, '--mount-point', mnt];
  assert.equal((await runCli(lab.env, ['--migrate', '--validate', '--all', ...common])).code, 0);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  const again = await runCli(lab.env, [
    ...['--validate', '--snapshots', snapshotId, '--compression', 'lz4', '--upload-streams', '2'],
    ...common,
  ]);
  assert.equal(again.code, 0, again.stderr);
});

test('a kept volume is reused, and deleted by a run without --keep-temp-volumes', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--keep-temp-volumes'])).code, 0);
  const done = await runValidate(lab, ['--all', '--json']);
  assert.equal(done.code, 0, done.stderr);
  const codes = recordsOf(done).map(({ code }) => code);
  assert.ok(codes.includes('volume.reused') && !codes.includes('volume.created') && codes.includes('volume.deleted'));
});

test('--one takes the oldest migrated snapshot; a failure does not stop the others, and every tag is correct', async (t) => {
  const lab = await labForTest(t);
  const first = await addSnapshotOf(lab, undefined, { startTime: '2021-01-01T00:00:00Z' });
  const second = await addSnapshotOfImage(lab, first.image, { startTime: '2020-01-01T00:00:00Z' });
  const never = await addSnapshotOfImage(lab, first.image, { tags: { 'snap-to-s3': 'migrated' } });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const one = await runValidate(lab, ['--one', '--content-only']);
  assert.equal(one.code, 0, one.stderr);
  assert.equal((await tagsOf(lab, second.snapshotId))['snap-to-s3'], 'content-validated');
  assert.equal((await tagsOf(lab, first.snapshotId))['snap-to-s3'], 'migrated');
  const all = await runValidate(lab, ['--all']);
  assert.equal(all.code, 3, all.stderr);
  assert.match(all.stderr, new RegExp(`there is no archive of ${never.snapshotId}`));
  assert.equal((await tagsOf(lab, first.snapshotId))['snap-to-s3'], 'validated');
  assert.equal((await tagsOf(lab, never.snapshotId))['snap-to-s3'], 'migrated');
  // A validated snapshot remains so after --content-only. A named snapshot is validated completely, whatever its tag.
  assert.equal((await runValidate(lab, ['--snapshots', first.snapshotId, '--content-only'])).code, 0);
  assert.equal((await tagsOf(lab, first.snapshotId))['snap-to-s3'], 'validated');
  assert.equal((await runValidate(lab, ['--snapshots', second.snapshotId])).code, 0);
  assert.equal((await tagsOf(lab, second.snapshotId))['snap-to-s3'], 'validated');
  const alone = await runValidate(lab, ['--one']);
  assert.equal(alone.code, 10, alone.stderr);
});

test('--archive-only works without the snapshot and EC2, and compares with the validated hash', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, { ...DISK, partitions: [...DISK.partitions] });
  assert.equal((await runMigrate(lab, ['--all', '--validate'])).code, 0);
  const before = (await lab.control.calls()).filter(({ service }) => service !== 's3').length;
  const done = await runValidate(lab, ['--all', '--archive-only', '--region', 'us-east-1', '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const calls = await lab.control.calls();
  assert.equal(calls.filter(({ service }) => service !== 's3').length, before);
  const report = recordsOf(done).find(({ code }) => code === 'snapshot.validated');
  assert.ok(report);
  assert.equal(report['snapshot'], snapshotId);
  assert.equal((report['objects'] as string[]).length, ((await keysIn(lab)).length - 1) / 2);
});
