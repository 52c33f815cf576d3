/** Filesystems of many versions are recreated from the facts in their superblocks, with the same superblocks. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { readGeometry } from '../../src/host/filesystems/filesystem-geometry.ts';
import { makeFilesystem, tryMakingFilesystem } from '../../src/host/filesystems/make-filesystem.ts';
import { temporaryDirectory } from '../support/lab.ts';

const signal = new AbortController().signal;

interface Old {
  type: string;
  size: string;
  /** The command that makes it, without the device. */
  made: string[];
  /** A command that changes it afterwards, without the device. */
  changed?: string[];
}

const UUID = '3d6cc90b-4e0f-4c3a-9a79-1f6d1b6d8f11';

const XFS = ['mkfs.xfs', '-q', '-f'];
const EXT = ['mke2fs', '-q', '-F'];

const OLD: Record<string, Old> = {
  'ext2 of the first revision': { type: 'ext2', size: '16M', made: [...EXT, '-t', 'ext2', '-r', '0', '-O', 'none'] },
  'ext2 without features': { type: 'ext2', size: '16M', made: [...EXT, '-t', 'ext2', '-O', 'none'] },
  'ext3 of 2008': {
    type: 'ext3',
    size: '64M',
    made: [...EXT, '-t', 'ext3', '-O', 'none,has_journal,filetype,sparse_super,large_file', '-I', '128', '-m', '1'],
    changed: ['tune2fs', '-o', '^acl,journal_data_ordered', '-e', 'panic', '-c', '30', '-i', '180d'],
  },
  'ext4 of 2012, with a small journal and many inodes': {
    type: 'ext4',
    size: '200M',
    made: [
      ...EXT,
      ...['-t', 'ext4', '-O', '^metadata_csum,^64bit,^orphan_file', '-J', 'size=4', '-m', '0', '-i', '4096'],
      ...['-G', '8', '-E', `hash_seed=${UUID}`],
    ],
    changed: ['tune2fs', '-r', '77', '-E', 'hash_alg=tea'],
  },
  'ext4 on RAID, with quotas of users and projects, and blocks reserved for a user': {
    type: 'ext4',
    size: '64M',
    made: [
      ...[...EXT, '-t', 'ext4', '-O', 'quota,project,bigalloc,inline_data'],
      ...['-E', 'stride=16,stripe_width=64,quotatype=usrquota:prjquota'],
    ],
    changed: ['tune2fs', '-u', '1000', '-g', '1001'],
  },
  'ext4 with current defaults': { type: 'ext4', size: '64M', made: [...EXT, '-t', 'ext4'] },
  'xfs of 200 MiB': { type: 'xfs', size: '200M', made: [...XFS, '--unsupported'] },
  'xfs without checksums': {
    type: 'xfs',
    size: '320M',
    made: [...XFS, '-m', 'crc=0', '-n', 'ftype=0,size=8192', '-l', 'size=16m', '-d', 'agcount=8', '--unsupported'],
  },
  'xfs of 2015': {
    type: 'xfs',
    size: '320M',
    made: [...XFS, '-m', 'finobt=0,rmapbt=0,reflink=0,inobtcount=0,bigtime=0', '-i', 'sparse=0,size=1024,maxpct=50'],
  },
  'btrfs of 2014': {
    type: 'btrfs',
    size: '160M',
    made: ['mkfs.btrfs', '-q', '-f', '-O', '^no-holes,^skinny-metadata', '-R', '^free-space-tree', '-n', '4096'],
  },
  'btrfs of 64 MiB': { type: 'btrfs', size: '64M', made: ['mkfs.btrfs', '-q', '-f', '--mixed', '--csum', 'xxhash'] },
  'FAT32 with few clusters': { type: 'vfat', size: '34M', made: ['mkfs.vfat', '-F', '32', '-s', '8', '-R', '38'] },
  'FAT16 of Windows': {
    type: 'vfat',
    size: '64M',
    made: ['mkfs.vfat', '-F', '16', '-s', '4', '-r', '1024', '-h', '63'],
  },
  'FAT12 with one table': { type: 'vfat', size: '2M', made: ['mkfs.vfat', '-F', '12', '-f', '1', '-r', '112'] },
};

/** Returns the settings of an ext filesystem that its features do not show. */
const settingsOf = async (file: string): Promise<string[]> =>
  (await run(['dumpe2fs', '-h', file]))
    .split('\n')
    .filter((line) => /^(Reserved blocks .id|RAID|.* quota inode)/.test(line));

for (const [name, { type, size, made, changed }] of Object.entries(OLD)) {
  test(`${name}: recreated with the same parameters`, async (t) => {
    const directory = temporaryDirectory(t);
    const [before, after] = [join(directory, 'before'), join(directory, 'after')];
    for (const file of [before, after]) await run(['truncate', '--size', size, file]);
    await run([...made, before]);
    if (changed) await run([...changed, before]);
    const geometry = readGeometry(type, before);
    assert.ok(geometry && Object.keys(geometry.made ?? {}).length > 3);
    const wanted = { type, uuid: type === 'vfat' ? 'ABCD-1234' : UUID, label: 'OLD', geometry };
    await tryMakingFilesystem(Number.parseInt(size, 10) * 2 ** 20, wanted, signal);
    assert.equal(await makeFilesystem(after, wanted, signal), null);
    assert.deepEqual(readGeometry(type, after), geometry);
    if (type.startsWith('ext')) assert.deepEqual(await settingsOf(after), await settingsOf(before));
    const found = await run(['blkid', '--probe', '--output', 'export', after]);
    assert.match(found, new RegExp(`LABEL=OLD\\n[^]*UUID=${wanted.uuid}\\n[^]*TYPE=${type}`));
    rmSync(before);
  });
}

test('an old archive does not get new features of xfs', async (t) => {
  const file = join(temporaryDirectory(t), 'disk.img');
  await run(['truncate', '--size', '320M', file]);
  // These are the facts that an old xfs_info prints.
  const geometry = { blockBytes: 4096, inodeBytes: 512, inodes: null, features: ['crc=1', 'finobt=1', 'ftype=1'] };
  await makeFilesystem(file, { type: 'xfs', uuid: UUID, label: null, geometry }, signal);
  const { features = [] } = readGeometry('xfs', file) ?? {};
  for (const off of ['sparse=0', 'reflink=0', 'bigtime=0', 'inobtcount=0', 'nrext64=0'])
    assert.ok(features.includes(off));
});

test('a filesystem that cannot be created is reported beforehand with the message of the tool', async () => {
  const wanted = { type: 'ext4', uuid: null, label: null, geometry: null };
  await assert.rejects(tryMakingFilesystem(4096, wanted, signal), {
    code: 'TARGET',
    message: /ext4 cannot be created/,
  });
  const hostile = { ...wanted, type: 'constructor' };
  await tryMakingFilesystem(4096, hostile, signal);
});

test('what a tool refuses is named: the profiles of a btrfs that is too small for them', async (t) => {
  const file = join(temporaryDirectory(t), 'disk.img');
  await run(['truncate', '--size', '64M', file]);
  const made = { dataProfile: 'single', metadataProfile: 'dup' };
  const geometry = { blockBytes: 4096, inodeBytes: null, inodes: null, features: [], made };
  const found = await makeFilesystem(file, { type: 'btrfs', uuid: UUID, label: null, geometry }, signal);
  assert.deepEqual(found?.omitted, ['--metadata dup']);
  assert.deepEqual(found?.added, ['--metadata single']);
  assert.match(found?.reason ?? '', /too small/);
});
