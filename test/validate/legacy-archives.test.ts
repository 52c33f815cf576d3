/** Legacy archives, which have descriptions in their keys, `.zstd` and no manifest, are validated with any flags. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import { buildDisk } from '../../lab/disks/build.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { GiB } from '../../src/lib/units.ts';
import { addSnapshotOf, addSnapshotOfImage } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { BUCKET, labForTest, runCli, runValidate, type TestLab } from '../support/lab.ts';
import { imageOf, through } from '../support/tamper.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';

const START = '2017-06-30T22:00:00.000Z';

/** Returns a key of version 0, with another UTC offset. `rest` is the description, the partition and the extension. */
const keyOf = (volumeId: string, snapshotId: string, rest: string): string =>
  `${volumeId}/2017-06-30T18:00:00-04:00 ${snapshotId}${rest}`;

/** @param more metadata beside the id and the size. The size of a tar is an estimate. */
async function put(lab: TestLab, snapshotId: string, key: string, body: Buffer, more = {}): Promise<void> {
  const Metadata = { 'snapshot-snapshotid': snapshotId, 'uncompressed-size': '1', ...more };
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body, Metadata }));
}

/** Returns a tar in GNU format, as version 0 created it: times in whole seconds, and no attributes. */
async function tarOf(lab: TestLab, image: string, partition: number | null): Promise<Buffer> {
  const file = join(lab.directory, 'legacy.tar');
  await withMounted(image, partition, (directory) => run(['tar', '-cf', file, '-C', directory, '.'], [0, 1]));
  return readFileSync(file);
}

test('a tar in GNU format without attributes: the content matches, and only attributes differ', async (t) => {
  const lab = await labForTest(t);
  const populate = (directory: string) => makeNastyTree(directory);
  const disk = await addSnapshotOf(
    lab,
    { table: 'none', partitions: [{ content: 'ext4', sizeMiB: 640, populate }] },
    { startTime: START, tags: { 'snap-to-s3': 'migrated' }, description: 'nightly (web) backup 2.1' },
  );
  const body = await through(['lz4', '-1', '-c'], await tarOf(lab, disk.image, null));
  const { volumeId, snapshotId } = disk;
  // The description ends like a partition number. Only the metadata shows that it is part of the description.
  const description = 'nightly (web) backup 2.1';
  const key = keyOf(volumeId, snapshotId, ` - ${description}.tar.lz4`);
  await put(lab, snapshotId, key, body, { 'snapshot-description': description });
  const content = await runValidate(lab, ['--snapshots', snapshotId, '--content-only']);
  assert.equal(content.code, 0, content.stderr);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'content-validated');
  const everything = await runValidate(lab, ['--snapshots', snapshotId]);
  assert.equal(everything.code, 12, everything.stderr);
  const kinds = [...everything.stderr.matchAll(/^ {2}([\w-]+): \//gm)].map(([, kind]) => kind);
  assert.ok(kinds.length > 0);
  assert.deepEqual([...new Set(kinds)], ['xattrs']);
});

test('partitions, .zstd, lz4 with other options, and a flag for another codec', async (t) => {
  const lab = await labForTest(t);
  const populate = async (directory: string) => writeFileSync(join(directory, 'letters'), 'abc'.repeat(100_000));
  const disk = await addSnapshotOf(
    lab,
    {
      table: 'dos',
      partitions: [
        { content: 'ext4', sizeMiB: 32, populate },
        { content: 'ext4', sizeMiB: 32, populate },
        { content: 'ext4', sizeMiB: 32, populate },
      ],
    },
    { startTime: START, tags: { 'snap-to-s3': 'migrated' }, description: 'two' },
  );
  const { volumeId, snapshotId } = disk;
  for (const [partition, rest, compressor] of [
    [1, '.1.tar.zstd', ['zstd', '-1', '-c']],
    [2, '.p2.tar.zstd', ['zstd', '-1', '-c']],
    [3, '.3.tar.lz4', ['lz4', '-9', '-BX', '-c']],
  ] as const) {
    const body = await through(compressor, await tarOf(lab, disk.image, partition));
    const key = keyOf(volumeId, snapshotId, ` - two${rest}`);
    await put(lab, snapshotId, key, body, { 'snapshot-description': 'two' });
  }
  const done = await runValidate(lab, ['--all', '--compression', 'lz4']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /archive compared with the snapshot in .*3 objects, 3 files/);
});

test('an image, an image of the wrong size, and a missing object', async (t) => {
  const lab = await labForTest(t);
  const fixture = { startTime: START, tags: { 'snap-to-s3': 'migrated' } };
  const disk = await addSnapshotOf(lab, undefined, fixture);
  const { volumeId, snapshotId } = disk;
  const key = keyOf(volumeId, snapshotId, '.img.lz4');
  const frames = await through(['lz4', '-1', '-c', imageOf(lab, snapshotId)], Buffer.alloc(0));
  const size = { 'uncompressed-size': String(statSync(imageOf(lab, snapshotId)).size) };
  await put(lab, snapshotId, key, frames, size);
  const done = await runValidate(lab, ['--all', '--dd']);
  assert.equal(done.code, 0, done.stderr);
  await put(lab, snapshotId, key, frames, { 'uncompressed-size': String(2 * GiB) });
  const file = join(lab.directory, 'restored.img');
  const restored = await runCli(lab.env, ['restore', '--bucket', BUCKET, snapshotId, '--to-file', file]);
  for (const short of [restored, await runValidate(lab, ['--snapshots', snapshotId, '--archive-only'])]) {
    assert.equal(short.code, 12, short.stderr);
    assert.match(short.stderr, /it decodes to 1073741824 bytes, its metadata says 2147483648/);
  }
  const parted = await addSnapshotOf(
    lab,
    {
      table: 'gpt',
      partitions: [
        { content: 'ext4', sizeMiB: 16 },
        { content: 'random', sizeMiB: 2 },
      ],
    },
    fixture,
  );
  const body = await through(['lz4', '-1', '-c'], await tarOf(lab, parted.image, 1));
  await put(lab, parted.snapshotId, keyOf(parted.volumeId, parted.snapshotId, '.1.tar.lz4'), body);
  const half = await runValidate(lab, ['--snapshots', parted.snapshotId]);
  assert.equal(half.code, 12, half.stderr);
  assert.match(half.stderr, /not-in-archive: the archive does not contain partition 2/);
});

test('a damaged directory that the driver silently reads only in part is a difference, although the tar is like it', async (t) => {
  const lab = await labForTest(t);
  const image = join(lab.directory, 'damaged.img');
  const populate = async (directory: string) => {
    mkdirSync(join(directory, 'many'));
    for (let number = 0; number < 200; number++)
      writeFileSync(join(directory, 'many', `${number} ${'x'.repeat(40)}`), '');
  };
  const options = ['-O', '^dir_index'];
  await buildDisk({ path: image, table: 'none', partitions: [{ content: 'ext2', sizeMiB: 16, options, populate }] });
  const blockSize = Number(/Block size:\s+(\d+)/.exec(await run(['dumpe2fs', '-h', image]))?.[1]);
  const blocks = (await run(['debugfs', '-R', 'blocks /many', image])).trim().split(/\s+/);
  await using file = await open(image, 'r+');
  await file.write(Buffer.alloc(16, 0xff), 0, 16, Number(blocks[2]) * blockSize);
  const fixture = { startTime: START, tags: { 'snap-to-s3': 'migrated' } };
  const { volumeId, snapshotId } = await addSnapshotOfImage(lab, image, fixture);
  const tar = await tarOf(lab, image, null);
  const shown = Array.from({ length: 200 }, (_none, number) => number).filter((number) =>
    tar.includes(`many/${number} x`),
  );
  assert.ok(shown.length > 0 && shown.length < 200, `the driver shows ${shown.length}`);
  await put(lab, snapshotId, keyOf(volumeId, snapshotId, '.tar.lz4'), await through(['lz4', '-1', '-c'], tar));
  const done = await runValidate(lab, ['--snapshots', snapshotId, '--content-only']);
  assert.equal(done.code, 12, done.stderr);
  assert.match(done.stderr, /data that its driver does not show: ext2 is damaged; see dmesg/);
  assert.match(done.stderr, /1 difference/, 'the tar has what the driver shows');
});
