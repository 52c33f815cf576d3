/** Content of filesystems that drivers do not show is found by reading the disk itself. */
import assert from 'node:assert/strict';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { run } from '../../lab/core/run.ts';
import { buildDisk } from '../../lab/disks/build.ts';
import { withDevice, withFilesystem } from '../../lab/disks/mounted.ts';
import { missingNames, surveyFilesystem } from '../../src/host/filesystems/filesystem-obstacles.ts';
import { NtfsDamage, readRecord } from '../../src/host/filesystems/ntfs/records.ts';
import { isJournalClean } from '../../src/host/filesystems/ntfs/survey.ts';
import { temporaryDirectory } from '../support/lab.ts';
import { readOnlyFilesystem } from '../support/trees/read-only-filesystems.ts';

const signal = new AbortController().signal;

const obstacleOn = async (...[type, device, within]: Parameters<typeof surveyFilesystem>): Promise<string | null> =>
  (await surveyFilesystem(type, device, within)).obstacle;

const namesOn = async (...[type, device, within]: Parameters<typeof surveyFilesystem>): Promise<number | null> =>
  (await surveyFilesystem(type, device, within)).names;

async function writeAt(path: string, position: number, bytes: Buffer): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, position);
}

async function readAt(path: string, position: number, length: number): Promise<Buffer> {
  await using file = await open(path, 'r');
  return (await file.read(Buffer.alloc(length), 0, length, position)).buffer;
}

/** A symbolic link of WSL. Any other reparse point would do. */
const REPARSE = '0x1d0000a0080000000200000061626364';

test('NTFS: streams, reparse points and a journal that was not replayed, wherever they are', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  const many = async (directory: string) => {
    mkdirSync(join(directory, 'some', 'where'), { recursive: true });
    for (let number = 0; number < 3000; number++) writeFileSync(join(directory, 'some', 'where', `${number}`), 'x');
  };
  await buildDisk({ path: image, table: 'none', partitions: [{ content: 'ntfs', sizeMiB: 16, populate: many }] });
  const change = (work: (directory: string) => Promise<void>) =>
    withDevice(image, null, { readOnly: false }, (device) =>
      withFilesystem(device, 'ntfs', { mountOptions: 'streams_interface=windows' }, work),
    );
  const obstacle = () => obstacleOn('ntfs', image, signal);
  assert.equal(await obstacle(), null, 'the streams of system files do not count');

  await change(async (root) => writeFileSync(join(root, 'some/where/2999:Zone.Identifier'), 'x'));
  assert.match((await obstacle()) ?? '', /^\/some\/where\/2999 has the alternate stream Zone\.Identifier/);
  await change(async (root) => rmSync(join(root, 'some/where/2999:Zone.Identifier')));
  assert.equal(await obstacle(), null);

  await change(async (root) => {
    rmSync(join(root, 'some/where/7'));
    writeFileSync(join(root, 'linked'), '');
    await run(['setfattr', '--no-dereference', '-n', 'system.ntfs_reparse_data', '-v', REPARSE, join(root, 'linked')]);
  });
  assert.match((await obstacle()) ?? '', /^\/linked has a reparse point \(tag 0xa000001d\)/);
  await change(async (root) => rmSync(join(root, 'linked')));
  assert.equal(await obstacle(), null);

  const attributes = (path: string, value: string) =>
    run(['setfattr', '--no-dereference', '-n', 'system.ntfs_attrib', '-v', value, path]);
  const [system, hiddenSystem] = ['0x04000000', '0x06000000'];
  for (const content of ['', '1', 'IntxLNK\x01a\0']) {
    await change(async (root) => {
      writeFileSync(join(root, 'special'), content);
      await attributes(join(root, 'special'), system);
    });
    assert.match(
      (await obstacle()) ?? '',
      /^\/special has content that drivers show as a pipe, socket, link or device/,
    );
    await change((root) => run(['rm', join(root, 'special')]).then(() => {}));
  }
  await change(async (root) => {
    writeFileSync(join(root, 'desktop.ini'), '');
    await attributes(join(root, 'desktop.ini'), hiddenSystem);
    writeFileSync(join(root, 'plain'), 'as it is');
    await attributes(join(root, 'plain'), system);
    linkSync(join(root, 'plain'), join(root, 'linked'));
  });
  assert.equal(await obstacle(), null, 'most files of the system are shown as they are');

  const names = ['some', 'some/where', 'desktop.ini', 'plain', 'linked'].length + 2999;
  assert.equal(await namesOn('ntfs', image, signal), names);
  assert.equal(missingNames(names, names + 1), null);
  assert.match(missingNames(names, 6) ?? '', /has 3004 names of files and directories, but its driver shows 5/);

  const boot = await readAt(image, 0, 512);
  const [cluster, record] = [boot.readUInt8(13) * 512, 1024];
  const mft = Number(boot.readBigUInt64LE(48)) * cluster;
  const journal = await readAt(image, mft + 2 * record, record);
  assert.equal(journal.toString('latin1', 0, 4), 'FILE');
  await writeAt(image, mft + 40 * record, Buffer.from('BAAD'));
  assert.match((await obstacle()) ?? '', /file table cannot be read: record 40 is marked as damaged/);
});

test('NTFS with clusters of any size is read', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  for (const clusterBytes of [512, 65_536, 262_144, 2_097_152]) {
    await run(['truncate', '--size', '0', image]);
    await run(['truncate', '--size', '128M', image]);
    await run(['mkntfs', '--force', '--quick', '--quiet', '--cluster-size', `${clusterBytes}`, image]);
    assert.equal(await obstacleOn('ntfs', image, signal), null, `${clusterBytes}`);
    assert.equal(await namesOn('ntfs', image, signal), 0);
  }
});

test('the journal of NTFS is clean when it is empty, or says so in its later restart page', () => {
  const empty = Buffer.alloc(8192, 0xff);
  assert.ok(isJournalClean(empty));
  assert.ok(!isJournalClean(Buffer.alloc(8192)));
  const restart = (...pages: { sequence: bigint; clients: number; flags: number }[]) => {
    const head = Buffer.alloc(8192);
    for (const [index, { sequence, clients, flags }] of pages.entries()) {
      head.write('RSTR', index * 4096, 'latin1');
      head.writeUInt16LE(48, index * 4096 + 24);
      head.writeBigUInt64LE(sequence, index * 4096 + 48);
      head.writeUInt16LE(clients, index * 4096 + 60);
      head.writeUInt16LE(flags, index * 4096 + 62);
    }
    return head;
  };
  const [open_, closed] = [
    { clients: 0, flags: 0 },
    { clients: 0xffff, flags: 0 },
  ];
  assert.ok(isJournalClean(restart({ sequence: 5n, ...open_ }, { sequence: 6n, ...closed })));
  assert.ok(!isJournalClean(restart({ sequence: 6n, ...open_ }, { sequence: 5n, ...closed })));
  assert.ok(isJournalClean(restart({ sequence: 5n, clients: 0, flags: 2 })));
});

test('any bytes are a record, no record, or damage', () => {
  const record = fc.uint8Array({ minLength: 1024, maxLength: 1024 }).map((bytes) => {
    const buffer = Buffer.from(bytes);
    buffer.write('FILE', 0, 'latin1');
    buffer.writeUInt16LE(buffer.readUInt16LE(20) & 0x7f, 20);
    buffer.writeUInt16LE(0, 6);
    return buffer;
  });
  fc.assert(
    fc.property(record, (bytes) => {
      try {
        readRecord(bytes, 1);
      } catch (error) {
        assert.ok(error instanceof NtfsDamage || error instanceof RangeError, String(error));
      }
    }),
  );
});

test('ext: encrypted directories and recorded damage; filesystems that were not examined', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  const make = async (...flags: string[]) => {
    await run(['truncate', '--size', '16M', image]);
    await run(['mke2fs', '-q', '-F', '-t', 'ext4', ...flags, image]);
  };
  await make();
  assert.equal(await obstacleOn('ext4', image, signal), null);
  await make('-O', 'encrypt');
  assert.match((await obstacleOn('ext4', image, signal)) ?? '', /encrypted directories/);
  await make();
  await run(['debugfs', '-w', '-R', 'set_super_value state 2', image]);
  assert.match((await obstacleOn('ext4', image, signal)) ?? '', /marked as damaged/);
  for (const type of ['hfsplus', 'exfat', 'jfs'])
    assert.equal(await obstacleOn(type, image, signal), `it is unknown what drivers of ${type} omit`);
});

for (const bits of [12, 16, 32] as const) {
  test(`FAT${bits}: names are counted without a driver; damage and what drivers show each in its own way`, async (t) => {
    const image = join(temporaryDirectory(t), 'disk.img');
    const letter = join(temporaryDirectory(t), 'letter');
    writeFileSync(letter, 'x');
    await run(['truncate', '--size', bits === 12 ? '4M' : '40M', image]);
    await run(['mkfs.vfat', '-F', `${bits}`, '-s', bits === 32 ? '1' : '4', '-n', 'LABEL', image]);
    await run(['mmd', '-i', image, '::/SUB', '::/SUB/a directory with a long name']);
    const names = Array.from({ length: 99 }, (_none, number) => `${number} of a hundred`);
    const put = (name: string) => run(['mcopy', '-i', image, letter, `::/SUB/${name}`]);
    for (const name of names) await put(name);
    await run(['mdel', '-i', image, '::/SUB/7 of a hundred']);
    await put('PLAIN');
    await put('OTHER');
    const obstacle = async () => (await obstacleOn('vfat', image, signal)) ?? '';
    assert.equal(await obstacle(), '');
    assert.equal(await namesOn('vfat', image, signal), 2 + 98 + 2);

    const whole = readFileSync(image);
    const at = whole.indexOf('PLAIN      ', 0, 'latin1');
    const cluster = whole.readUInt16LE(whole.indexOf('SUB        \x10', 0, 'latin1') + 26);
    const table = whole.readUInt16LE(14) * whole.readUInt16LE(11);
    const change = (position: number, bytes: number[]) => {
      const changed = Buffer.from(whole);
      Buffer.from(bytes).copy(changed, position);
      writeFileSync(image, changed);
    };
    change(at + 11, [0x60]);
    assert.match(await obstacle(), /^PLAIN has attributes that make some drivers omit it/);
    change(at + 1, [0x20]);
    assert.match(await obstacle(), /^P AIN has a space in its short name/);
    change(at, [0x84]);
    assert.match(await obstacle(), /has a name in an unknown code page/);
    change(whole.indexOf('OTHER      ', 0, 'latin1'), [...Buffer.from('PLAIN')]);
    assert.match(await obstacle(), /^drivers cannot distinguish PLAIN from PLAIN/);
    for (const fields of [
      // No month, 31 June, 24:00, and the last even second of 2107.
      [0, 0, 0x01, 0x40],
      [0, 0, 0xdf, 0x40],
      [0, 0xc0, 0x21, 0x40],
      [0x7d, 0xbf, 0x9f, 0xff],
    ]) {
      change(at + 22, fields);
      assert.match(await obstacle(), /^PLAIN has a modification time that drivers show in different ways/);
    }
    change(40, [0x81, 0]);
    assert.equal(/^only its second allocation table is valid/.test(await obstacle()), bits === 32);
    change(at + 22, [0, 0, 0, 0]);
    assert.equal(await obstacle(), '');
    change(table + Math.floor((cluster * bits) / 8), bits === 12 ? [0x01, 0x10] : [1, 0, 0, 0].slice(0, bits / 8));
    assert.match(
      await obstacle(),
      /its directories cannot be read: a directory points to a cluster that does not exist/,
    );
    assert.equal(await namesOn('vfat', image, signal), null);
  });
}

test('filesystems on several devices are not read, even if all devices are attached', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  await run(['truncate', '--size', '128M', image]);
  await run(['mkfs.btrfs', '-q', '-f', image]);
  assert.equal(await obstacleOn('btrfs', image, signal), null);
  await writeAt(image, 65_536 + 136, Buffer.from([2]));
  assert.match((await obstacleOn('btrfs', image, signal)) ?? '', /spans 2 devices/);

  const erofs = readOnlyFilesystem('erofs');
  writeFileSync(image, erofs);
  assert.equal(await obstacleOn('erofs', image, signal), null);
  erofs.writeUInt16LE(1, 1024 + 86);
  writeFileSync(image, erofs);
  assert.equal(await obstacleOn('erofs', image, signal), 'it spans 2 devices');

  const reiserfs = Buffer.alloc(1024 * 1024);
  reiserfs.writeUInt32LE(256, 65_536);
  reiserfs.writeUInt16LE(4096, 65_536 + 44);
  reiserfs.write('ReIsEr3Fs', 65_536 + 52);
  writeFileSync(image, reiserfs);
  assert.equal(await obstacleOn('reiserfs', image, signal), null);
  await writeAt(image, 65_536 + 16, Buffer.from([0, 8]));
  assert.equal(await obstacleOn('reiserfs', image, signal), 'its journal is on another device');

  await run(['truncate', '--size', '128M', image]);
  await run(['mke2fs', '-q', '-F', '-t', 'ext3', image]);
  assert.equal(await obstacleOn('ext3', image, signal), null);
  await run(['debugfs', '-w', '-R', 'set_super_value journal_inum 0', image]);
  assert.match((await obstacleOn('ext3', image, signal)) ?? '', /journal is on another device/);
});
