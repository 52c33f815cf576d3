/** Each kind of filesystem, without a partition table, becomes a tar with all of its content. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Content } from '../../lab/disks/contents.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { extractTar, keyEnding } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { labForTest, runMigrate } from '../support/lab.ts';
import { compareTrees, type Field } from '../support/trees/compare-trees.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';

interface Case {
  content: Content;
  sizeMiB: number;
  populate: (directory: string) => Promise<void>;
  ignore?: Field[];
}

/** Creates files whose names FAT stores unchanged. The case of short names depends on the program that reads them. */
const fillFatally = async (directory: string): Promise<void> => {
  mkdirSync(join(directory, 'Boot Loader'));
  writeFileSync(join(directory, 'Boot Loader', 'Größe of a Kernel.efi'), 'x'.repeat(300_000));
  writeFileSync(join(directory, 'Configuration of the Machine'), 'content');
};

/** `ignore` lists what FAT, and NTFS mounted in user space, cannot store or show. */
const CASES: Case[] = [
  { content: 'ext2', sizeMiB: 640, populate: (directory) => makeNastyTree(directory) },
  { content: 'ext3', sizeMiB: 640, populate: (directory) => makeNastyTree(directory) },
  { content: 'ext4', sizeMiB: 640, populate: (directory) => makeNastyTree(directory) },
  { content: 'xfs', sizeMiB: 320, populate: (directory) => makeNastyTree(directory) },
  { content: 'btrfs', sizeMiB: 256, populate: (directory) => makeNastyTree(directory) },
  { content: 'ntfs', sizeMiB: 16, populate: fillPlainly, ignore: ['xattrs', 'mode'] },
  { content: 'vfat', sizeMiB: 16, populate: fillFatally, ignore: ['mode'] },
];

for (const { content, sizeMiB, populate, ignore = [] } of CASES) {
  test(`${content} without a partition table is restored with standard tools, without differences`, async (t) => {
    const lab = await labForTest(t);
    const disk = await addSnapshotOf(lab, { table: 'none', partitions: [{ content, sizeMiB, populate }] });
    const done = await runMigrate(lab, ['--all']);
    assert.equal(done.code, 0, done.stderr);
    const restored = await extractTar(lab, await keyEnding(lab, `${disk.snapshotId}.tar.lz4`));
    const { compared, list } = await withMounted(disk.image, null, (original) =>
      compareTrees(original, restored, { ignore }),
    );
    assert.deepEqual(list, []);
    assert.ok(compared >= 3, `only ${compared} entries`);
  });
}
