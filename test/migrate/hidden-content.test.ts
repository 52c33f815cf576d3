/** Content that a driver hides from tar and from a comparison through this driver is found on the disk itself. */
import assert from 'node:assert/strict';
import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run, runWithInput } from '../../lab/core/run.ts';
import { withDevice, withFilesystem } from '../../lab/disks/mounted.ts';
import { keyEnding, readManifest, readManifestOf } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage, fillPlainly } from '../support/disks.ts';
import { labForTest, runMigrate, runValidate } from '../support/lab.ts';
import { imageOf } from '../support/tamper.ts';
import { hideEntries } from '../support/trees/hide-entries.ts';
import { readOnlyFilesystem } from '../support/trees/read-only-filesystems.ts';

test('NTFS with alternate streams differs from a tar, and the next archive is an image', async (t) => {
  const lab = await labForTest(t);
  const partitions = [{ content: 'ntfs', sizeMiB: 16, populate: fillPlainly } as const];
  const { snapshotId } = await addSnapshotOf(lab, { table: 'none', partitions });
  const first = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(first.code, 0, first.stderr);
  await keyEnding(lab, `${snapshotId}.tar.lz4`);

  await withDevice(imageOf(lab, snapshotId), null, { readOnly: false }, (device) =>
    withFilesystem(device, 'ntfs', { mountOptions: 'streams_interface=windows' }, async (root) =>
      writeFileSync(join(root, 'letters:author'), 'x'),
    ),
  );
  const checked = await runValidate(lab, ['--snapshots', snapshotId]);
  assert.equal(checked.code, 12, checked.stderr);
  assert.match(
    checked.stderr,
    /does not contain data that its driver does not show: \/letters has the alternate stream author/,
  );

  const again = await runMigrate(lab, ['--snapshots', snapshotId, '--replace', '--validate']);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /as a raw image: \/letters has the alternate stream author/);
  const { objects } = await readManifest(lab);
  assert.deepEqual(
    objects.map(({ layout, filesystem }) => ({ layout, filesystem })),
    [{ layout: 'image', filesystem: 'ntfs' }],
  );
});

for (const type of ['squashfs', 'erofs'] as const) {
  test(`data behind ${type} in the same partition leads to an image`, async (t) => {
    const lab = await labForTest(t);
    const image = join(lab.directory, 'disk.img');
    writeFileSync(image, readOnlyFilesystem(type));
    await run(['truncate', '--size', '16M', image]);
    const { snapshotId } = await addSnapshotOfImage(lab, image);
    const first = await runMigrate(lab, ['--all', '--validate']);
    assert.equal(first.code, 0, first.stderr);
    await keyEnding(lab, `${snapshotId}.tar.lz4`);

    const overlay = { start: 65_536, size: 8 * 2 ** 20 };
    await withDevice(imageOf(lab, snapshotId), overlay, { readOnly: false }, (device) =>
      run(['mkfs.ext4', '-q', device]).then(() => {}),
    );
    const checked = await runValidate(lab, ['--snapshots', snapshotId]);
    assert.equal(checked.code, 12, checked.stderr);
    assert.match(checked.stderr, /its driver does not show: it is read-only, and there is data after the filesystem/);

    const again = await runMigrate(lab, ['--snapshots', snapshotId, '--replace', '--validate']);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stderr, /as a raw image: it is read-only, and there is data after the filesystem \(/);
    await keyEnding(lab, `${snapshotId}.img.lz4`);
  });
}

test('an ext filesystem that may hold encrypted directories differs from a tar', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  await run(['debugfs', '-w', '-R', 'feature encrypt', imageOf(lab, snapshotId)]);
  const checked = await runValidate(lab, ['--snapshots', snapshotId]);
  assert.equal(checked.code, 12, checked.stderr);
  assert.match(checked.stderr, /data that its driver does not show: it may hold encrypted directories/);
});

test('NTFS with files that no directory lists is stored as an image', async (t) => {
  const lab = await labForTest(t);
  const populate = async (directory: string) => {
    mkdirSync(join(directory, 'large'));
    for (let number = 0; number < 200; number++) writeFileSync(join(directory, 'large', `${number}`), 'x');
  };
  const partitions = [{ content: 'ntfs', sizeMiB: 16, populate } as const];
  const { snapshotId } = await addSnapshotOf(lab, { table: 'none', partitions });
  const first = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(first.code, 0, first.stderr);

  hideEntries(imageOf(lab, snapshotId));
  const reason = /it has 201 names of files and directories, but its driver shows \d+\b/;
  const again = await runMigrate(lab, ['--snapshots', snapshotId, '--replace', '--validate']);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, reason);
  const { objects } = await readManifest(lab);
  assert.deepEqual(
    objects.map(({ layout }) => layout),
    ['image'],
  );
});

test('a partition with names that Linux cannot create is stored as an image', async (t) => {
  const lab = await labForTest(t);
  const populate = async (directory: string) => writeFileSync(join(directory, '長'.repeat(86)), 'x');
  await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'ntfs', sizeMiB: 16, populate }] });
  const done = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /as a raw image: .* has a name of 258 bytes, but Linux allows only 255/);
});

test('what a tar cannot hold is counted in the events, the manifest and the exceptions of the comparison', async (t) => {
  const lab = await labForTest(t);
  const populate = async (directory: string) => {
    await fillPlainly(directory);
    await run(['chattr', '+d', join(directory, 'letters'), join(directory, 'etc')]);
    await run(['mknod', join(directory, 'null'), 'c', '1', '3']);
  };
  await addSnapshotOf(lab, {
    table: 'gpt',
    partitions: [
      { content: 'ext4', sizeMiB: 16, populate },
      { content: 'ntfs', sizeMiB: 16, populate: fillPlainly },
    ],
  });
  const done = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /not kept from partition 1: chattr flags \(2 files\)\n/);
  assert.match(
    done.stderr,
    /not kept from partition 2: Windows access control lists, .*; --dd keeps everything on a Windows disk/,
  );
  assert.match(done.stderr, /compared with the snapshot, except chattr flags \(of 2 files\), Windows access control/);
  const { objects } = await readManifest(lab);
  assert.deepEqual(objects[0]?.notKept, [{ what: 'chattr flags', count: 2 }]);
  assert.equal(objects[1]?.notKept?.[0]?.count, null);
});

test('data outside partitions is reported; an empty table or overlapping partitions lead to an image', async (t) => {
  const lab = await labForTest(t);
  const disk = async (name: string, script: string, ...changes: [number, Buffer][]) => {
    const image = join(lab.directory, name);
    await run(['truncate', '--size', '32M', image]);
    await runWithInput(['sfdisk', '--quiet', image], script);
    await using file = await open(image, 'r+');
    for (const [position, bytes] of changes) await file.write(bytes, 0, bytes.length, position);
    return (await addSnapshotOfImage(lab, image)).snapshotId;
  };
  const deleted: [number, Buffer] = [20 * 1024 * 1024, Buffer.from('what somebody still wants')];
  const overlap = Buffer.alloc(4);
  overlap.writeUInt32LE(4000);
  const script = 'label: dos\nstart=2048, size=4096\nstart=8192, size=4096\n';
  const deletedOne = await disk('deleted.img', script, deleted);
  const asImages = [
    await disk('empty.img', 'label: gpt\n', deleted),
    await disk('overlapping.img', script, [446 + 16 + 8, overlap]),
  ];

  const done = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /not kept from the disk: data outside the partitions \(4\.00 KiB\); --dd keeps everything/);
  assert.match(done.stderr, /compared with the snapshot, except data outside the partitions/);
  assert.match(done.stderr, /the disk is stored as a raw image: its partition table \(gpt\) is empty/);
  assert.match(done.stderr, /the disk is stored as a raw image: partition 2 overlaps another one/);
  const { disk: noted } = await readManifestOf(lab, deletedOne);
  assert.deepEqual(noted.notKept, [{ what: 'data outside the partitions (4.00 KiB)', count: null }]);
  assert.equal(noted.volumeObstacle, null);
  for (const snapshotId of asImages) {
    const { objects } = await readManifestOf(lab, snapshotId);
    const kept = objects.map(({ layout, partition }) => ({ layout, partition }));
    assert.deepEqual(kept, [{ layout: 'image', partition: null }]);
  }
});

test('btrfs: the time of an empty directory that takes the place of a subvolume in a snapshot is not compared', async (t) => {
  const lab = await labForTest(t);
  const populate = async (root: string) => {
    await run(['btrfs', 'subvolume', 'create', join(root, 'home')]);
    await run(['btrfs', 'subvolume', 'create', join(root, 'home', 'nested')]);
    writeFileSync(join(root, 'home', 'nested', 'file'), 'x');
    await run(['btrfs', 'subvolume', 'snapshot', '-r', join(root, 'home'), join(root, 'before')]);
  };
  await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'btrfs', sizeMiB: 128, populate }] });
  const done = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(done.code, 0, done.stderr);
});

test('btrfs: hard links and attributes in a subvolume and its snapshots, which share inode numbers', async (t) => {
  const lab = await labForTest(t);
  const populate = async (root: string) => {
    const home = join(root, 'home');
    await run(['btrfs', 'subvolume', 'create', home]);
    writeFileSync(join(home, 'x'), 'x');
    linkSync(join(home, 'x'), join(home, 'y'));
    writeFileSync(join(home, 'z'), 'z');
    for (const name of ['x', 'z']) await run(['setfattr', '-n', 'user.note', '-v', name, join(home, name)]);
    for (const name of ['snap1', 'snap2']) await run(['btrfs', 'subvolume', 'snapshot', home, join(root, name)]);
    await run(['setfattr', '-n', 'user.note', '-v', 'changed', join(root, 'snap2', 'x')]);
  };
  await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'btrfs', sizeMiB: 128, populate }] });
  const done = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
});
