/** Disks with partition tables, and partitions without a filesystem: nothing is dropped silently. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runWithInput } from '../../lab/core/run.ts';
import { buildDisk } from '../../lab/disks/build.ts';
import { copyWhileMounted } from '../../lab/disks/copies.ts';
import { partitionPlace, withMounted } from '../../lab/disks/inspect.ts';
import { withDevice, withFilesystem } from '../../lab/disks/mounted.ts';
import { extractTar, keyEnding, keysIn, plainHash, readManifest, tarNames } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage, fillPlainly } from '../support/disks.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate } from '../support/lab.ts';
import { pathWithout } from '../support/processes/search-path.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';

async function hashOfPartition(image: string, partition: number): Promise<string> {
  const { start, size } = await partitionPlace(image, partition);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(image, { start, end: start + size - 1 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

test('GPT with BIOS boot, ext4, xfs and swap: two tars, one image, one record', async (t) => {
  const lab = await labForTest(t);
  const uuid = '3d6cc90b-4e0f-4c3a-9a79-1f6d1b6d8f11';
  const disk = await addSnapshotOf(lab, {
    table: 'gpt',
    bootCode: Buffer.from('boot code of the lab'),
    partitions: [
      { content: 'bios-boot', sizeMiB: 1 },
      { content: 'ext4', sizeMiB: 32, label: 'root', populate: fillPlainly },
      { content: 'xfs', sizeMiB: 320, label: 'data', populate: fillPlainly },
      { content: 'swap', sizeMiB: 16, uuid },
    ],
  });
  const done = await runMigrate(lab, ['--all', '--json']);
  assert.equal(done.code, 0, done.stderr);
  const codes = recordsOf(done).map(({ code }) => code);
  assert.ok(codes.includes('partition.raw') && codes.includes('partition.recorded'), codes.join(' '));

  for (const partition of [2, 3]) {
    const restored = await extractTar(lab, await keyEnding(lab, `.${partition}.tar.lz4`));
    const { list } = await withMounted(disk.image, partition, (original) => compareTrees(original, restored));
    assert.deepEqual(list, []);
  }
  assert.equal(await plainHash(lab, await keyEnding(lab, '.1.img.lz4')), await hashOfPartition(disk.image, 1));
  assert.equal((await keysIn(lab)).length, 7);

  const manifest = await readManifest(lab);
  assert.deepEqual(
    manifest.objects.map(({ partition, layout, filesystem, label }) => ({ partition, layout, filesystem, label })),
    [
      { partition: 1, layout: 'image', filesystem: null, label: null },
      { partition: 2, layout: 'tar', filesystem: 'ext4', label: 'root' },
      { partition: 3, layout: 'tar', filesystem: 'xfs', label: 'data' },
    ],
  );
  assert.deepEqual(
    manifest.recorded.map(({ partition, filesystem, uuid: found }) => ({ partition, filesystem, uuid: found })),
    [{ partition: 4, filesystem: 'swap', uuid }],
  );
  assert.equal(manifest.disk.table, 'gpt');
  assert.match(Buffer.from(manifest.disk.bootCode ?? '', 'base64').toString('latin1'), /^boot code of the lab/);
});

test('MBR with logical partitions keeps the numbers of the table', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab, {
    table: 'dos',
    partitions: [
      { content: 'ext4', sizeMiB: 16, populate: fillPlainly },
      { content: 'ext4', sizeMiB: 16, logical: true, populate: fillPlainly },
      { content: 'swap', sizeMiB: 8, logical: true },
    ],
  });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  await extractTar(lab, await keyEnding(lab, '.1.tar.lz4'));
  await extractTar(lab, await keyEnding(lab, '.5.tar.lz4'));
  assert.deepEqual(
    (await readManifest(lab)).recorded.map(({ partition }) => partition),
    [6],
  );
});

test('partitions that cannot be mounted are stored as raw images and reported', async (t) => {
  const lab = await labForTest(t);
  const contents = ['luks', 'lvm', 'random', 'empty'] as const;
  const disk = await addSnapshotOf(lab, {
    table: 'gpt',
    partitions: contents.map((content) => ({ content, sizeMiB: 3 })),
  });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  for (const number of [1, 2, 3, 4]) {
    const key = await keyEnding(lab, `.${number}.img.lz4`);
    assert.equal(await plainHash(lab, key), await hashOfPartition(disk.image, number), contents[number - 1]);
    assert.match(done.stderr, new RegExp(`partition ${number} is stored as a raw image`));
  }
  assert.match(done.stderr, /it holds crypto_LUKS/);
  assert.match(done.stderr, /it holds LVM2_member/);
});

test('a filesystem too damaged to mount is stored as an image', async (t) => {
  const lab = await labForTest(t);
  const image = join(lab.directory, 'damaged.img');
  const partitions = [
    { content: 'ext4', sizeMiB: 16 } as const,
    { content: 'ext4', sizeMiB: 16, populate: fillPlainly } as const,
  ];
  await buildDisk({ path: image, table: 'gpt', partitions });
  const { start } = await partitionPlace(image, 1);
  const file = openSync(image, 'r+');
  // Overwrite the group descriptors, which follow the superblock of a filesystem with blocks of 1 KiB.
  writeSync(file, Buffer.alloc(4096, 0xff), 0, 4096, start + 2048);
  closeSync(file);
  await addSnapshotOfImage(lab, image);
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /partition 1 is stored as a raw image: ext4 on .* cannot be mounted/);
  assert.equal(await plainHash(lab, await keyEnding(lab, '.1.img.lz4')), await hashOfPartition(image, 1));
  await keyEnding(lab, '.2.tar.lz4');
});

test('a partitioned disk with the signature of an old filesystem is stored as one image', async (t) => {
  const lab = await labForTest(t);
  const image = join(lab.directory, 'reused.img');
  await buildDisk({
    path: image,
    table: 'none',
    partitions: [{ content: 'ext4', sizeMiB: 16, populate: fillPlainly }],
  });
  const flags = ['--quiet', '--wipe', 'never', '--wipe-partitions', 'never'];
  await runWithInput(['sfdisk', ...flags, image], 'label: dos\nstart=8192, size=16384, type=83\n');
  const { snapshotId } = await addSnapshotOfImage(lab, image);
  const done = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /the disk is stored as a raw image: it can be read in two ways: as ext4/);
  const { objects } = await readManifest(lab);
  assert.deepEqual(
    objects.map(({ partition, layout, plainBytes }) => ({ partition, layout, plainBytes })),
    [{ partition: null, layout: 'image', plainBytes: 2 ** 30 }],
  );
  await keyEnding(lab, `${snapshotId}.img.lz4`);
});

test('an empty disk is stored as an image', async (t) => {
  const lab = await labForTest(t);
  const disk = await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'empty', sizeMiB: 8 }] });
  const done = await runMigrate(lab, ['--all', '--json']);
  assert.equal(done.code, 0, done.stderr);
  const raw = recordsOf(done).filter(({ code }) => code === 'partition.raw');
  assert.deepEqual(
    raw.map(({ partition }) => partition),
    [null],
    'there is no partition 0',
  );
  // The disk image is the beginning of a volume of 1 GiB.
  const manifest = await readManifest(lab);
  assert.deepEqual(
    manifest.objects.map(({ layout, plainBytes }) => ({ layout, plainBytes })),
    [{ layout: 'image', plainBytes: 2 ** 30 }],
  );
  await keyEnding(lab, `${disk.snapshotId}.img.lz4`);
});

/** Writes and syncs a file, which is then only in the journal. */
const writeSynced = async (directory: string): Promise<void> => {
  const file = openSync(join(directory, 'synced last'), 'w');
  writeFileSync(file, 'must not be lost');
  fsyncSync(file);
  closeSync(file);
};

for (const [content, sizeMiB] of [
  ['ext4', 64],
  ['xfs', 320],
  ['btrfs', 128],
] as const) {
  test(`${content}: the journal is replayed, so that the files synced last are archived`, async (t) => {
    const lab = await labForTest(t);
    const image = join(lab.directory, 'clean.img');
    const dirty = join(lab.directory, 'dirty.img');
    const partitions = [{ content, sizeMiB, populate: fillPlainly }];
    await buildDisk({ path: image, table: 'none', partitions });
    await copyWhileMounted(image, dirty, null, writeSynced);
    await addSnapshotOfImage(lab, dirty);
    const done = await runMigrate(lab, ['--all']);
    assert.equal(done.code, 0, done.stderr);
    const names = await tarNames(lab, await keyEnding(lab, '.tar.lz4'));
    assert.ok(names.includes('./synced last'), names.join());
  });
}

test('--no-replay does not replay the journal', async (t) => {
  const lab = await labForTest(t);
  const image = join(lab.directory, 'clean.img');
  const dirty = join(lab.directory, 'dirty.img');
  await buildDisk({
    path: image,
    table: 'none',
    partitions: [{ content: 'ext4', sizeMiB: 64, populate: fillPlainly }],
  });
  await copyWhileMounted(image, dirty, null, writeSynced);
  await addSnapshotOfImage(lab, dirty);
  const done = await runMigrate(lab, ['--all', '--no-replay']);
  assert.equal(done.code, 0, done.stderr);
  const names = await tarNames(lab, await keyEnding(lab, '.tar.lz4'));
  assert.ok(!names.includes('./synced last'), names.join());
});

test('an xfs with the UUID of a mounted filesystem is archived', async (t) => {
  const lab = await labForTest(t);
  const disk = await addSnapshotOf(lab, {
    table: 'none',
    partitions: [{ content: 'xfs', sizeMiB: 320, populate: fillPlainly }],
  });
  // The source volume is mounted on the same machine.
  await withDevice(disk.image, null, { readOnly: false }, (device) =>
    withFilesystem(device, 'xfs', {}, async () => {
      const done = await runMigrate(lab, ['--all']);
      assert.equal(done.code, 0, done.stderr);
    }),
  );
  await extractTar(lab, await keyEnding(lab, '.tar.lz4'));
});

test('btrfs subvolumes are part of the archive', async (t) => {
  const { run } = await import('../../lab/core/run.ts');
  const lab = await labForTest(t);
  const populate = async (directory: string) => {
    await fillPlainly(directory);
    await run(['btrfs', '-q', 'subvolume', 'create', join(directory, 'sub')]);
    writeFileSync(join(directory, 'sub', 'inside'), 'kept');
    await run(['btrfs', 'subvolume', 'set-default', join(directory, 'sub')]);
  };
  await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'btrfs', sizeMiB: 256, populate }] });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  const names = await tarNames(lab, await keyEnding(lab, '.tar.lz4'));
  assert.ok(names.includes('./sub/inside') && names.includes('./letters'), names.join());
});

test('without a driver, the partition is stored as an image, the driver is named, and --strict fails', async (t) => {
  const lab = await labForTest(t);
  const partitions = [{ content: 'ntfs', sizeMiB: 16, populate: fillPlainly } as const];
  const { image, snapshotId } = await addSnapshotOf(lab, { table: 'gpt', partitions });
  const env = { PATH: pathWithout(lab, 'ntfs-3g') };
  const reason = /this machine has no driver for ntfs \(unknown filesystem type.*install ntfs-3g/;
  const strict = await runMigrate(lab, ['--all', '--strict'], { env });
  assert.equal(strict.code, 1, strict.stderr);
  assert.match(strict.stderr, new RegExp(`partition 1 cannot be archived as files: ${reason.source}`));
  const done = await runMigrate(lab, ['--snapshots', snapshotId, '--validate'], { env });
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, new RegExp(`partition 1 is stored as a raw image: ${reason.source}`));

  const file = join(lab.directory, 'partition.img');
  const restored = await runCli(lab.env, [
    'restore',
    '--bucket',
    BUCKET,
    snapshotId,
    '--partition',
    '1',
    '--to-file',
    file,
  ]);
  assert.equal(restored.code, 0, restored.stderr);
  const hash = createHash('sha256').update(readFileSync(file)).digest('hex');
  assert.equal(hash, await hashOfPartition(image, 1));
});
