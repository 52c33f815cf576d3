/** Block devices, partition tables and mounts of this machine. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { run, runWithInput } from '../../lab/core/run.ts';
import { buildDisk } from '../../lab/disks/build.ts';
import { withDevice } from '../../lab/disks/mounted.ts';
import { waitForDevice } from '../../src/host/devices/block-devices.ts';
import { freeDeviceNames } from '../../src/host/devices/device-names.ts';
import { openPartition } from '../../src/host/disks/partition-device.ts';
import { readPartitionTable } from '../../src/host/disks/partition-table.ts';
import { probe } from '../../src/host/filesystems/filesystems.ts';
import { copyToFat } from '../../src/host/filesystems/fill-fat.ts';
import { mountReadOnly } from '../../src/host/filesystems/mounts.ts';
import { requireTools } from '../../src/host/tools.ts';
import { fillPlainly, PLAIN_DISK } from '../support/disks.ts';
import { temporaryDirectory } from '../support/lab.ts';

const signal = new AbortController().signal;

test('a device is found by the requested name only if it has the size of the volume', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  await run(['truncate', '--size', '16M', image]);
  await withDevice(image, null, { readOnly: true }, async (device) => {
    using named = linkUnderFreeName(device);
    const wait = { signal, within: 50 };
    const [ours, others] = ['a', 'b'].map((letter) => `vol-${letter}${randomBytes(8).toString('hex')}`);
    assert.ok(ours && others);
    const found = await waitForDevice(ours, named.path, 16 * 2 ** 20, wait);
    assert.deepEqual(found, { path: device, size: 16 * 2 ** 20, identifiedBy: 'name' });
    await assert.rejects(waitForDevice(ours, named.path, 2 ** 30, wait), /no device appeared/);
    // The name and the size match, but the serial number is that of another volume.
    using _identified = linkAs(device, `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${others.replace('-', '')}`);
    await assert.rejects(waitForDevice(ours, named.path, 16 * 2 ** 20, wait), /no device appeared/);
    const identified = await waitForDevice(others, named.path, 16 * 2 ** 20, wait);
    assert.deepEqual(identified, { path: device, size: 16 * 2 ** 20, identifiedBy: 'serial' });
    // These fail at once, because waiting does not change the target of a link.
    const patient = { signal, within: 3_600_000 };
    const wrong = (message: RegExp) => ({ code: 'WRONG_DEVICE', message });
    await assert.rejects(
      waitForDevice(others, named.path, 2 ** 30, patient),
      wrong(/whose size is 16777216 instead of 1073741824 bytes/),
    );
    using _dangling = linkAs(
      '/dev/no-such-device',
      `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${ours.replace('-', '')}`,
    );
    await assert.rejects(
      waitForDevice(ours, named.path, 16 * 2 ** 20, patient),
      wrong(/no-such-device, which does not exist/),
    );
  });
});

function linkAs(device: string, path: string): Disposable & { path: string } {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(device, path);
  return { path, [Symbol.dispose]: () => unlinkSync(path) };
}

/** Links a device under a name that no other lab on this machine has. */
function linkUnderFreeName(device: string): Disposable & { path: string } {
  for (const path of freeDeviceNames([]).reverse()) {
    try {
      return linkAs(device, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  throw new Error('all device names of this machine are taken');
}

test('partitions without device nodes are opened as loop devices, and released', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  await buildDisk({
    path: image,
    table: 'gpt',
    partitions: [
      { content: 'random', sizeMiB: 2 },
      { content: 'ext4', sizeMiB: 16, label: 'here', populate: fillPlainly },
    ],
  });
  await withDevice(image, null, { readOnly: true }, async (device) => {
    const table = await readPartitionTable(device, signal);
    assert.deepEqual([table.kind, table.partitions.map(({ number }) => number)], ['gpt', [1, 2]]);
    const second = table.partitions[1];
    assert.ok(second);
    {
      await using opened = await openPartition(device, second, signal);
      const found = await probe(opened.path, signal);
      assert.deepEqual([found.type, found.label], ['ext4', 'here']);
      assert.equal(await partitionLoopsOn(device), 1);
    }
    assert.equal(await partitionLoopsOn(device), 0);
  });
});

/** Changes the partition table and keeps everything else in the first sector, like old programs. */
const partitionKeeping = (image: string, script: string): Promise<string> =>
  runWithInput(['sfdisk', '--quiet', '--wipe', 'never', '--wipe-partitions', 'never', image], script);

for (const content of ['ext4', 'vfat', 'ntfs', 'xfs', 'swap'] as const) {
  test(`${content} of an earlier use is not mistaken for the only content of a partitioned disk`, async (t) => {
    const image = join(temporaryDirectory(t), 'disk.img');
    await buildDisk({ path: image, table: 'none', partitions: [{ content, sizeMiB: content === 'xfs' ? 320 : 16 }] });
    const found = await probe(image, signal);
    assert.deepEqual([found.type, found.tableType, found.isContradictory], [content, null, false]);
    assert.equal((await readPartitionTable(image, signal)).doubt, null);
    await partitionKeeping(image, 'label: dos\nstart=4096, size=8192, type=83\n');
    const again = await probe(image, signal);
    assert.deepEqual([again.type, again.tableType, again.isContradictory], [content, 'dos', true]);
    const { kind, doubt } = await readPartitionTable(image, signal);
    assert.equal(kind, 'dos');
    assert.match(doubt ?? '', new RegExp(`read in two ways: as ${content}, and as a partition table`));
  });
}

test('tables that are damaged, too long or unknown are read as far as they can be', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  const make = async (script: string) => {
    await run(['truncate', '--size', '0', image]);
    await run(['truncate', '--size', '16M', image]);
    await runWithInput(['sfdisk', '--quiet', image], script);
  };
  const overwrite = async (at: number, bytes: Buffer) => {
    await using file = await open(image, 'r+');
    await file.write(bytes, 0, bytes.length, at);
  };
  const read = async () => {
    const { kind, partitions, beyondEnd, doubt } = await readPartitionTable(image, signal);
    return { kind, sizes: partitions.map(({ size }) => size), beyondEnd, isDoubted: doubt !== null };
  };
  await make('label: gpt\nstart=2048, size=8192\n');
  await overwrite(512, Buffer.alloc(512, 'X'));
  assert.deepEqual(await read(), { kind: 'gpt', sizes: [2 ** 22], beyondEnd: [], isDoubted: false });
  await overwrite(16 * 2 ** 20 - 512, Buffer.alloc(512, 'X'));
  assert.deepEqual(await read(), { kind: 'none', sizes: [], beyondEnd: [], isDoubted: true });
  await make('label: dos\nstart=2048, size=8192\nstart=10240, size=8192\nstart=20480, size=8192\n');
  const lengths = Buffer.alloc(4);
  lengths.writeUInt32LE(3_000_000);
  await overwrite(446 + 16 + 12, lengths);
  await overwrite(446 + 32 + 8, lengths);
  assert.deepEqual(await read(), { kind: 'dos', sizes: [2 ** 22, 11 * 2 ** 20], beyondEnd: [3], isDoubted: false });
  await make('label: sun\nstart=0, size=8192\n');
  assert.deepEqual(await read(), { kind: 'none', sizes: [], beyondEnd: [], isDoubted: true });
});

test('disks whose table does not describe everything are stored as a whole', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  const doubt = async (script: string): Promise<string | null> => {
    await run(['truncate', '--size', '16M', image]);
    await runWithInput(['sfdisk', '--quiet', image], script);
    return (await readPartitionTable(image, signal)).doubt;
  };
  const [pool, metadata, data] = [
    'E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D',
    '5808C8AA-7E8F-42E0-85D2-E1E90434CFB3',
    'AF9B60A0-1431-4F62-BC68-3311714A69AD',
  ];
  assert.match((await doubt('label: dos\nstart=2048, type=42\n')) ?? '', /Windows dynamic disk/);
  assert.match((await doubt(`label: gpt\nsize=2048, type=${metadata}\ntype=${data}\n`)) ?? '', /dynamic disk/);
  assert.match((await doubt(`label: gpt\ntype=${pool}\n`)) ?? '', /Storage Spaces/);
  assert.equal(await doubt('label: gpt\nstart=2048, size=8192\n'), null);
  // Only the MBR contains this partition. gdisk and other programs write such tables.
  const entry = Buffer.from([0, 0, 0, 0, 0x83, 0, 0, 0, 0, 0x40, 0, 0, 0, 0x10, 0, 0]);
  await using file = await open(image, 'r+');
  await file.write(entry, 0, entry.length, 446 + 16);
  const hybrid = await readPartitionTable(image, signal);
  assert.equal(hybrid.kind, 'gpt');
  assert.match(hybrid.doubt ?? '', /two partition tables/);
});

async function partitionLoopsOn(device: string): Promise<number> {
  const files = await run(['losetup', '--list', '--noheadings', '--output', 'BACK-FILE']);
  return files.split('\n').filter((line) => line.trim() === device).length;
}

test('mounts are read-only, and the mount point is unchanged afterwards', async (t) => {
  const directory = temporaryDirectory(t);
  const image = join(directory, 'disk.img');
  await buildDisk({ path: image, ...PLAIN_DISK });
  await withDevice(image, null, { readOnly: false }, async (device) => {
    const point = join(directory, 'mount point');
    {
      await using mount = await mountReadOnly(device, 'ext4', point, { replay: true, signal });
      assert.ok(existsSync(join(mount.path, 'letters')));
      assert.throws(() => writeFileSync(join(mount.path, 'new'), ''), /EROFS/);
    }
    assert.ok(!existsSync(point));
  });
});

test('only an empty directory is used as a mount point', async (t) => {
  const directory = temporaryDirectory(t);
  const mount = (name: string) => mountReadOnly('/dev/null', 'ext4', join(directory, name), { replay: true, signal });
  mkdirSync(join(directory, 'full', 'of'), { recursive: true });
  await assert.rejects(mount('full'), /is not an empty directory/);
  symlinkSync('/etc', join(directory, 'link'));
  await assert.rejects(mount('link'), /is not an empty directory/);
  await assert.rejects(mount('fresh'), /cannot be mounted/);
  assert.deepEqual(readdirSync(directory).sort(), ['full', 'link']);
});

test('missing programs are named together with their packages', () => {
  assert.throws(() => requireTools(['sh', 'gpg', 'sfdisk'], '/nowhere:/bin/nowhere'), /not installed: sh, gpg, sfdisk/);
  requireTools(['sh'], process.env['PATH'] ?? '');
});

test('FAT shows its files with their times, and not its label, whoever mounts it', async (t) => {
  const directory = temporaryDirectory(t);
  const [image, mountPoint] = [join(directory, 'disk.img'), join(directory, 'mnt')];
  const time = Date.UTC(2020, 6, 1, 12, 34, 56);
  const populate = async (root: string) => {
    mkdirSync(join(root, 'EFI'));
    writeFileSync(join(root, 'EFI', 'Größe of a Kernel.efi'), 'content');
    utimesSync(join(root, 'EFI', 'Größe of a Kernel.efi'), time / 1000, time / 1000);
  };
  await buildDisk({
    path: image,
    table: 'none',
    partitions: [{ content: 'vfat', sizeMiB: 16, label: 'ESP', populate }],
  });
  await withDevice(image, null, { readOnly: false }, async (device) => {
    await using mount = await mountReadOnly(device, 'vfat', mountPoint, { replay: true, signal });
    const [name = '', ...others] = readdirSync(mount.path);
    assert.deepEqual([name.toUpperCase(), ...others], ['EFI']);
    assert.deepEqual(readdirSync(join(mount.path, name)), ['Größe of a Kernel.efi']);
    assert.equal(statSync(join(mount.path, name, 'Größe of a Kernel.efi')).mtimeMs, time);
  });
});

test('more names than fit in one command line are copied to FAT', async (t) => {
  const directory = temporaryDirectory(t);
  const [image, files] = [join(directory, 'disk.img'), join(directory, 'files')];
  await run(['truncate', '--size', '300M', image]);
  await run(['mkfs.vfat', '-F', '32', image]);
  mkdirSync(files);
  for (let index = 0; index < 700; index++) writeFileSync(join(files, `${index}${'n'.repeat(220)}`), '');
  // The kernel limits arguments to a quarter of the stack, which is 128 KiB here.
  const module = join(import.meta.dirname, '..', '..', 'src', 'host', 'filesystems', 'fill-fat.ts');
  const program = `import { copyToFat } from ${JSON.stringify(module)};
    await copyToFat(${JSON.stringify(files)}, ${JSON.stringify(image)}, new AbortController().signal);`;
  const node = [process.execPath, '--input-type=module', '--eval', program];
  await run(['prlimit', `--stack=${2 ** 19}`, ...node]);
  const listed = await run(['mdir', '-a', '-b', '-i', image, '::/']);
  assert.equal(listed.trim().split('\n').length, 700);
});

test('names that mtools cannot copy to FAT are reported', async (t) => {
  const directory = temporaryDirectory(t);
  const [image, files] = [join(directory, 'disk.img'), join(directory, 'files')];
  await run(['truncate', '--size', '2M', image]);
  const fill = async () => {
    await run(['mkfs.vfat', image]);
    await copyToFat(files, image, signal);
  };
  mkdirSync(join(files, 'below'), { recursive: true });
  writeFileSync(join(files, 'below', 'Größe.cfg'), 'content');
  await fill();
  const lost = join(files, 'below', 'party 🎉');
  writeFileSync(lost, 'content');
  await assert.rejects(fill(), { code: 'TARGET', message: /cannot write the name "below.party 🎉"/ });
  unlinkSync(lost);
  writeFileSync(join(files, 'large'), Buffer.alloc(3 * 2 ** 20));
  await assert.rejects(fill(), { code: 'TARGET', message: /Disk full/ });
});
