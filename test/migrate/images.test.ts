/** `--dd`: the image is the device, byte for byte. */
import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertPlainEquals, keyEnding, keysIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { labForTest, runMigrate } from '../support/lab.ts';

for (const [codec, suffix] of [
  ['lz4', 'lz4'],
  ['zstd', 'zst'],
] as const) {
  test(`--dd --compression ${codec}: the image equals the disk byte for byte`, async (t) => {
    const lab = await labForTest(t);
    const disk = await addSnapshotOf(lab, {
      table: 'gpt',
      partitions: [
        { content: 'ext4', sizeMiB: 64, populate: fillPlainly },
        { content: 'random', sizeMiB: 4 },
      ],
    });
    const done = await runMigrate(lab, ['--all', '--dd', '--compression', codec]);
    assert.equal(done.code, 0, done.stderr);
    // The size of a volume is a whole number of GiB. All bytes after the end of the disk image are zeros.
    truncateSync(disk.image, 2 ** 30);
    const key = await keyEnding(lab, `${disk.snapshotId}.img.${suffix}`);
    await assertPlainEquals(lab, key, disk.image);
    assert.equal((await keysIn(lab)).length, 3);
    const { layout, objects } = await readManifest(lab);
    assert.equal(layout, 'image');
    assert.equal(objects[0]?.plainBytes, 2 ** 30);
  });
}

test('a higher compression level makes the object smaller, and the manifest records it', async (t) => {
  const lab = await labForTest(t);
  const text = Array.from({ length: 200_000 }, (_, index) => `line ${index * 7919} of a text\n`).join('');
  const populate = (directory: string) => writeFile(join(directory, 'text'), text);
  const sizes: number[] = [];
  for (const level of ['1', '12']) {
    const disk = await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'ext4', sizeMiB: 32, populate }] });
    const done = await runMigrate(lab, ['--snapshots', disk.snapshotId, '--compression-level', level]);
    assert.equal(done.code, 0, done.stderr);
    const { HeadObjectCommand } = await import('@aws-sdk/client-s3');
    const Key = await keyEnding(lab, `${disk.snapshotId}.tar.lz4`);
    sizes.push((await lab.s3.send(new HeadObjectCommand({ Bucket: 'backups', Key }))).ContentLength ?? 0);
  }
  assert.ok((sizes[1] ?? 0) < (sizes[0] ?? 0), sizes.join());
});
