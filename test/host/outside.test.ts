/** Data outside of partitions and filesystems is found, and the structures of partition tables do not count as data. */
import assert from 'node:assert/strict';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { run, runWithInput } from '../../lab/core/run.ts';
import { readsIn } from '../../src/host/devices/find-data.ts';
import { makeTable, planTable, tryMakingTable } from '../../src/host/disks/make-table.ts';
import { gapsBetween, notKeptOutside } from '../../src/host/disks/outside-partitions.ts';
import { readPartitionTable } from '../../src/host/disks/partition-table.ts';
import { surveyFilesystem } from '../../src/host/filesystems/filesystem-obstacles.ts';
import { notKeptAround } from '../../src/host/filesystems/outside-filesystem.ts';
import { GiB, MiB } from '../../src/lib/units.ts';
import { temporaryDirectory } from '../support/lab.ts';
import { readOnlyFilesystem } from '../support/trees/read-only-filesystems.ts';

const signal = new AbortController().signal;

async function writeAt(path: string, position: number, bytes: Buffer): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, position);
}

const outside = async (image: string): Promise<string[]> =>
  (await notKeptOutside(image, await readPartitionTable(image, signal), signal)).map(({ what }) => what);

async function partitioned(t: TestContext, ...script: string[]): Promise<string> {
  const image = join(temporaryDirectory(t), 'disk.img');
  await run(['truncate', '--size', '64M', image]);
  await runWithInput(['sfdisk', '--quiet', image], `${script.join('\n')}\n`);
  return image;
}

test('gpt: a deleted partition is found, also on a disk that has grown; tables are not data', async (t) => {
  const image = await partitioned(t, 'label: gpt', 'start=2048, size=65536');
  assert.deepEqual(await outside(image), []);
  await run(['truncate', '--size', '2G', image]);
  assert.deepEqual(await outside(image), [], 'the second copy lies where the disk ended');
  await writeAt(image, 40 * MiB, Buffer.from('x'));
  assert.deepEqual(await outside(image), ['data outside the partitions (at least 4.00 KiB)']);
});

test('gpt: the samples of a large gap are limited, and their distance is reported', async (t) => {
  const image = await partitioned(t, 'label: gpt', 'start=2048, size=65536');
  await run(['truncate', '--size', '1T', image]);
  assert.deepEqual(await outside(image), [
    'data outside the partitions, if there is any: only 64.0 KiB in every 256 MiB were read',
  ]);
  await writeAt(image, 40 * MiB, Buffer.from('x'));
  assert.deepEqual(await outside(image), ['data outside the partitions (at least 4.00 KiB)']);
  for (const length of [2 * GiB, 64 * GiB, 16 * 1024 * GiB]) {
    const halves = [
      { from: 0, to: length / 2 },
      { from: length / 2, to: length },
    ];
    for (const ranges of [[{ from: 0, to: length }], halves]) {
      const reads = [...readsIn(ranges)];
      assert.ok(reads.length <= 4096 + 2 * 1024, `${reads.length} reads of ${length} bytes`);
    }
  }
});

test('squashfs before a large gap is not suspected', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  await writeFile(image, readOnlyFilesystem('squashfs'));
  await run(['truncate', '--size', '1T', image]);
  assert.equal((await surveyFilesystem('squashfs', image, signal)).obstacle, null);
  assert.deepEqual(
    (await notKeptAround('squashfs', image, 0, signal)).map(({ what }) => what),
    ['data after the filesystem, if there is any: only 64.0 KiB in every 256 MiB were read'],
  );
});

test('gpt: a boot loader in the gap before the first partition', async (t) => {
  const image = await partitioned(t, 'label: gpt', 'start=2048, size=65536');
  await writeAt(image, 34 * 512, Buffer.from('core.img'));
  assert.deepEqual(await outside(image), ['data outside the partitions (4.00 KiB)']);
});

test('dos: what the manifest keeps and chains of logical partitions are not data', async (t) => {
  const logical = ['start=34000, size=90000, type=5', 'start=36048, size=20000', 'start=60063, size=20000'];
  const image = await partitioned(t, 'label: dos', 'start=2048, size=30000', ...logical);
  await writeAt(image, 512, Buffer.from('core.img'));
  assert.deepEqual(await outside(image), []);
  await writeAt(image, 58_000 * 512, Buffer.from('x'));
  assert.deepEqual(await outside(image), ['data outside the partitions (4.00 KiB)']);
});

test('a table without partitions is doubtful, so the disk is stored as a whole', async (t) => {
  for (const label of ['dos', 'gpt']) {
    const table = await readPartitionTable(await partitioned(t, `label: ${label}`), signal);
    assert.equal(table.doubt, `its partition table (${label}) is empty`);
  }
});

test('gaps and covered ranges together are the whole disk, and do not overlap', () => {
  const segment = fc.tuple(fc.nat(100), fc.nat(30)).map(([from, length]) => ({ from, to: from + length }));
  fc.assert(
    fc.property(fc.array(segment), fc.nat(100), (covered, length) => {
      const gaps = gapsBetween(covered, length);
      const isIn = (list: typeof covered, byte: number) => list.some(({ from, to }) => from <= byte && byte < to);
      for (let byte = 0; byte < 140; byte++)
        assert.equal(isIn(gaps, byte), byte < length && !isIn(covered, byte), `byte ${byte}`);
    }),
  );
});

test('boot code before filesystems, and data after them', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  const around = async (type: string, keptBytes = 0) =>
    (await notKeptAround(type, image, keptBytes, signal)).map(({ what }) => what);
  for (const [type, ...mkfs] of [
    ['ext4', 'mke2fs', '-q', '-F', '-t', 'ext4', image, '32M'],
    ['btrfs', 'mkfs.btrfs', '-q', '-f', '-b', '120M', image],
    ['vfat', 'mkfs.vfat', image, '32768'],
  ] as const) {
    await run(['rm', '--force', image]);
    await run(['truncate', '--size', '160M', image]);
    await run([...mkfs]);
    assert.deepEqual(await around(type), [], type);
    await writeAt(image, 130 * MiB, Buffer.from('x'));
    assert.deepEqual(await around(type), ['data after the filesystem (4.00 KiB)'], type);
    await writeAt(image, 500, Buffer.from('x'));
    if (type !== 'vfat') assert.equal((await around(type))[0], 'boot code before the filesystem', type);
    if (type === 'ext4') assert.equal((await around(type, 501)).length, 1, 'what the manifest has does not count');
  }
});

/** The fields that say where a filesystem ends. */
const END_AT_1_MIB: Record<string, (device: Buffer) => void> = {
  squashfs: (device) => {
    device.write('hsqs');
    device.writeUInt16LE(4, 28);
    device.writeBigUInt64LE(BigInt(MiB), 40);
  },
  erofs: (device) => {
    device.writeUInt32LE(0xe0f5e1e2, 1024);
    device.writeUInt8(12, 1024 + 12);
    device.writeUInt32LE(256, 1024 + 36);
  },
  reiserfs: (device) => {
    device.writeUInt32LE(256, 65_536);
    device.writeUInt16LE(4096, 65_536 + 44);
    device.write('ReIsEr2Fs', 65_536 + 52);
  },
  exfat: (device) => {
    device.write('EXFAT   ', 3);
    device.writeBigUInt64LE(2048n, 72);
    device.writeUInt8(9, 108);
  },
};

test('data after filesystems that are not recreated, and filesystems whose end is unknown', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  const around = async (type: string) => (await notKeptAround(type, image, 0, signal)).map(({ what }) => what);
  for (const [type, make] of Object.entries(END_AT_1_MIB)) {
    const device = Buffer.alloc(2 * MiB);
    make(device);
    const found = async (position: number) => {
      await writeFile(image, device);
      await writeAt(image, position, Buffer.from('x'));
      return around(type);
    };
    assert.deepEqual(await found(MiB - 1), [], type);
    assert.deepEqual(await found(MiB), ['data after the filesystem (4.00 KiB)'], type);
  }
  await writeFile(image, Buffer.alloc(MiB));
  for (const type of ['squashfs', 'erofs', 'reiserfs', 'exfat', 'jfs', 'ext4', 'swap'])
    assert.match((await around(type)).join(), /^data after the .*, if there is any: where it ends is unknown$/, type);
});

test('a table that sfdisk reads but does not create is reported', async (t) => {
  const image = await partitioned(t, 'label: dos', 'start=2048, size=40960', 'start=65536, size=32768');
  const attempt = async () => {
    const { json } = await readPartitionTable(image, signal);
    await tryMakingTable(planTable(json, 64 * MiB), 64 * MiB, signal);
  };
  await attempt();
  const start = Buffer.alloc(4);
  start.writeUInt32LE(40_000);
  await writeAt(image, 446 + 16 + 8, start);
  await assert.rejects(attempt(), { code: 'TARGET', message: /partition table cannot be created/ });
});

test('names of GPT partitions are created whatever their characters, in both copies of the table', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  await run(['truncate', '--size', '16M', image]);
  const type = '0FC63DAF-8483-4772-8E79-3D69D8477DE4';
  const entry = (number: number, name: string) => ({
    node: `x${number}`,
    start: 2048 * number,
    size: 2048,
    type,
    name,
  });
  const names = ['Größe "x"', '🎉 party', '🎉'.repeat(18)];
  const partitions = names.map((name, index) => entry(index + 1, name));
  const partitiontable = { label: 'gpt', id: '11111111-2222-3333-4444-555555555555', partitions };
  await makeTable(image, planTable({ partitiontable }, 16 * MiB), signal);
  const namesIn = async () => {
    const { json } = await readPartitionTable(image, signal);
    return (json as { partitiontable: { partitions: { name?: string }[] } }).partitiontable.partitions.map(
      ({ name }) => name,
    );
  };
  assert.match(await run(['sfdisk', '--verify', image]), /No errors detected/);
  assert.deepEqual(await namesIn(), names);
  await writeAt(image, 512, Buffer.alloc(512));
  assert.deepEqual(await namesIn(), names, 'the backup');
  const lossy = { ...partitiontable, partitions: [entry(1, 'lone \ufffd')] };
  assert.throws(() => planTable({ partitiontable: lossy }, 16 * MiB), /the name of partition 1 is not valid Unicode/);
});
