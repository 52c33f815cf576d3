/** Partition tables of old machines, which the kernel and sfdisk read in different ways. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run, runWithInput } from '../../lab/core/run.ts';
import { withDevice, withFilesystem } from '../../lab/disks/mounted.ts';
import { readMbr } from '../../src/host/disks/mbr.ts';
import { readPartitionTable } from '../../src/host/disks/partition-table.ts';
import { probe } from '../../src/host/filesystems/filesystems.ts';
import { readManifestOf } from '../support/archives.ts';
import { addSnapshotOfImage } from '../support/disks.ts';
import { BUCKET, labForTest, runCli, runMigrate, temporaryDirectory } from '../support/lab.ts';
import { type MbrEntry, writeMbr } from '../support/mbr.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { volumeImage, volumesIn } from '../support/volumes.ts';

const signal = new AbortController().signal;
const MIB = 2 ** 20;
const LINUX = 0x83;
/** Size of the partitions that have filesystems, in sectors. */
const SIZE = 16_384;

/** The first table in the extended partition describes two logical partitions instead of one. */
const TWO_IN_ONE_TABLE: Record<number, MbrEntry[]> = {
  0: [
    [LINUX, 2048, 8192],
    [5, 16_384, 81_920],
  ],
  16384: [
    [LINUX, 2048, SIZE],
    [LINUX, 20_480, SIZE],
    [5, 40_960, 20_480],
  ],
  57344: [[LINUX, 2048, SIZE]],
};

const TWO_EXTENDED: Record<number, MbrEntry[]> = {
  0: [
    [LINUX, 2048, 8192],
    [5, 16_384, 32_768],
    [0x85, 65_536, 32_768],
  ],
  16384: [[LINUX, 2048, SIZE]],
  65536: [[LINUX, 2048, SIZE]],
};

/** The first logical partition was deleted. */
const EMPTY_LINK: Record<number, MbrEntry[]> = {
  0: [
    [LINUX, 1, 8191],
    [0xf, 16_384, 81_920],
  ],
  16384: [null, [5, 20_480, 20_480]],
  36864: [[LINUX, 2048, SIZE]],
};

/** Returns tables with `count` logical partitions of 1 MiB. */
function manyLogical(count: number): Record<number, MbrEntry[]> {
  const tables: Record<number, MbrEntry[]> = { 0: [[5, 2048, count * 4096]] };
  for (let index = 0; index < count; index++) {
    const link: MbrEntry = index + 1 < count ? [5, (index + 1) * 4096, 4096] : null;
    tables[2048 + index * 4096] = [[LINUX, 2048, 2048], link];
  }
  return tables;
}

test('a table in which the kernel and sfdisk find different partitions is doubtful', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  const read = async (tables: Record<number, MbrEntry[]>) => {
    writeMbr(image, 160 * MIB, tables);
    const { doubt, partitions } = await readPartitionTable(image, signal);
    return { doubt, numbers: partitions.map(({ number }) => number) };
  };
  for (const tables of [TWO_IN_ONE_TABLE, TWO_EXTENDED, manyLogical(70)])
    assert.match((await read(tables)).doubt ?? '', /the kernel finds other partitions/);
  assert.deepEqual(await read(EMPTY_LINK), { doubt: null, numbers: [1, 5] });
  const { doubt, numbers } = await read(manyLogical(50));
  assert.deepEqual([doubt, numbers.length], [null, 50]);
});

/** Each of the two tables in the extended partition has a partition, and refers to the other one. */
const CIRCLE: Record<number, MbrEntry[]> = {
  0: [[5, 2048, 81_920]],
  2048: [
    [LINUX, 2048, 2048],
    [5, 8192, 8192],
  ],
  10240: [
    [LINUX, 2048, 2048],
    [5, 0, 8192],
  ],
};

test('a chain of extended partitions without an end is followed only as far as the kernel has partitions', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  for (const tables of [CIRCLE, manyLogical(300)]) {
    writeMbr(image, 640 * MIB, tables);
    const { isEndless, partitions } = await readMbr(image, 512, AbortSignal.timeout(60_000));
    assert.equal(isEndless, true);
    assert.ok(partitions.length < 300, `${partitions.length}`);
    const { doubt } = await readPartitionTable(image, signal);
    assert.equal(doubt, 'the chain of its extended partitions (dos) does not end');
    await assert.rejects(readMbr(image, 512, AbortSignal.abort()), { name: 'AbortError' });
  }
});

test('a GPT with more partitions than the kernel supports is doubtful', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  await run(['truncate', '--size', '64M', image]);
  const script = [
    'label: gpt',
    'table-length: 400',
    ...Array.from({ length: 300 }, (_, index) => `start=${2048 + 64 * index}, size=64`),
  ];
  await runWithInput(['sfdisk', '--quiet', image], `${script.join('\n')}\n`);
  assert.match(
    (await readPartitionTable(image, signal)).doubt ?? '',
    /has 300 partitions, and the kernel finds only 255/,
  );
});

test('a table that counts in sectors of 4 KiB is doubtful', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  writeMbr(image, 64 * MIB, {
    0: [
      [LINUX, 256, 5120],
      [LINUX, 5376, 5120],
    ],
  });
  assert.equal((await readPartitionTable(image, signal)).doubt, null);
  await withDevice(image, { start: 21 * MIB, size: 20 * MIB }, { readOnly: false }, (device) =>
    run(['mkfs.ext2', '-q', '-F', device]),
  );
  assert.match((await readPartitionTable(image, signal)).doubt ?? '', /counts in sectors of 4096 bytes/);
});

test('a partition with both a BSD disk label and a filesystem is contradictory', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  await run(['truncate', '--size', '16M', image]);
  await run(['mkfs.ext2', '-q', '-F', image]);
  const label = Buffer.alloc(148);
  for (const at of [0, 132]) label.writeUInt32LE(0x82564557, at);
  const found = async (partitions: number) => {
    label.writeUInt16LE(partitions, 138);
    await using file = await open(image, 'r+');
    await file.write(label, 0, label.length, 512);
    const { type, tableType, isContradictory } = await probe(image, signal);
    return { type, tableType, isContradictory };
  };
  assert.deepEqual(await found(0), { type: 'ext2', tableType: null, isContradictory: false });
  assert.deepEqual(await found(3), { type: 'ext2', tableType: 'bsd', isContradictory: true });
});

/** Creates a filesystem at each of these sectors, with a file that contains the number of the sector. */
async function fill(image: string, starts: readonly number[]): Promise<void> {
  for (const start of starts) {
    await withDevice(image, { start: start * 512, size: SIZE * 512 }, { readOnly: false }, async (device) => {
      await run(['mkfs.ext2', '-q', '-F', device]);
      await withFilesystem(device, 'ext2', {}, async (root) => writeFileSync(join(root, 'start'), `${start}\n`));
    });
  }
}

test('a disk with more partitions than sfdisk lists is stored as an image, so that no partition gets a wrong number', async (t) => {
  const lab = await labForTest(t);
  for (const tables of [TWO_IN_ONE_TABLE, TWO_EXTENDED]) {
    const image = join(lab.directory, `${Object.keys(tables).join('-')}.img`);
    writeMbr(image, 64 * MIB, tables);
    await fill(image, tables === TWO_EXTENDED ? [18_432, 67_584] : [18_432, 36_864, 59_392]);
    const { snapshotId } = await addSnapshotOfImage(lab, image);
    const done = await runMigrate(lab, ['--snapshots', snapshotId, '--validate']);
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stderr, /the disk is stored as a raw image: the kernel finds other partitions/);
    const { objects } = await readManifestOf(lab, snapshotId);
    assert.deepEqual(
      objects.map(({ layout, partition }) => [layout, partition]),
      [['image', null]],
    );
  }
});

test('a disk whose first logical partition was deleted and whose first partition starts at sector 1 is restored', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const image = join(lab.directory, 'old.img');
  writeMbr(image, 64 * MIB, EMPTY_LINK);
  await fill(image, [38_912]);
  const { snapshotId } = await addSnapshotOfImage(lab, image);
  const done = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(done.code, 0, done.stderr);
  const mounts = ['--mount-point', join(lab.directory, 'mnt')];
  const restored = await runCli(lab.env, ['restore', '--bucket', BUCKET, snapshotId, '--to-volume', ...mounts]);
  assert.equal(restored.code, 0, restored.stderr);
  const [made] = await volumesIn(lab);
  const after = volumeImage(lab, made?.VolumeId ?? '');
  assert.deepEqual(
    (await readPartitionTable(after, signal)).partitions.map(({ number, start }) => [number, start / 512]),
    [
      [1, 1],
      [5, 38_912],
    ],
  );
  const place = { start: 38_912 * 512, size: SIZE * 512 };
  await withDevice(image, place, { readOnly: true }, (before) =>
    withDevice(after, place, { readOnly: true }, (device) =>
      withFilesystem(before, 'ext2', { mountOptions: 'ro' }, (one) =>
        withFilesystem(device, 'ext2', { mountOptions: 'ro' }, async (other) =>
          assert.deepEqual((await compareTrees(one, other)).list, []),
        ),
      ),
    ),
  );
});
