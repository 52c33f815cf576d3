/** Times that the target cannot store are counted, because filesystems change them without an error. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { buildDisk } from '../../lab/disks/build.ts';
import { timesKeptIn } from '../../src/operations/restore/files/times-kept-in.ts';
import { addSnapshotOf, addSnapshotOfImage } from '../support/disks.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate } from '../support/lab.ts';
import { pathWithout } from '../support/processes/search-path.ts';
import { volumeImage, volumesIn } from '../support/volumes.ts';

test('times that the target cannot store are counted', async (t) => {
  const lab = await labForTest(t);
  const dates = {
    'after 2038': '2040-01-01',
    'in 1901': '@-2147483648',
    'with a fraction': '@1000000001.123456789',
    'as it is': '@1000000001',
  };
  const populate = async (root: string) => {
    for (const [name, date] of Object.entries(dates)) {
      writeFileSync(join(root, name), name);
      await run(['touch', '--date', date, join(root, name)]);
    }
    for (const directory of ['lost+found', '.']) await run(['touch', '--date', '2001-02-03', join(root, directory)]);
  };
  const { snapshotId } = await addSnapshotOf(lab, {
    table: 'none',
    partitions: [{ content: 'ext4', sizeMiB: 40, populate }],
  });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const restoreTo = async (target: string, ...flags: string[]) => {
    const argv = ['restore', '--bucket', BUCKET, snapshotId, '--to-dir', target, ...flags];
    const done = await runCli(lab.env, argv);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    return done;
  };
  const whole = await restoreTo(join(lab.directory, 'whole'), '--json');
  assert.equal(
    recordsOf(whole).find(({ code }) => code === 'files.incomplete'),
    undefined,
  );

  const target = join(lab.directory, 'old');
  mkdirSync(target);
  const image = join(lab.directory, 'old.img');
  await run(['truncate', '--size', '80M', image]);
  await run(['mke2fs', '-q', '-F', '-t', 'ext4', '-I', '128', image]);
  await run(['mount', '-o', 'loop', image, target]);
  try {
    const signal = AbortSignal.timeout(60_000);
    const [from, to] = [-2147483648n * 1_000_000_000n, 2147483647n * 1_000_000_000n];
    assert.deepEqual(await timesKeptIn(target, signal), { from, to, step: 1_000_000_000n });
    const told = await restoreTo(target, '--json');
    const { count, times } = recordsOf(told).find(({ code }) => code === 'files.incomplete') ?? {};
    assert.deepEqual({ count, times }, { count: 0, times: 2 }, told.stdout);
    const shown = await restoreTo(target, '--overwrite');
    assert.match(shown.stderr, /the times of 2 files were changed to times that the filesystem can store/);
  } finally {
    await run(['umount', target]);
  }
});

/** Returns modification times as they are in the directory entries of FAT: time, then date. */
const timesOnFat = (image: Buffer, shortNames: readonly string[]): number[][] =>
  shortNames.map((name) => {
    const at = image.indexOf(name, 0, 'latin1');
    assert.ok(at > 0, `${name} is not there`);
    return [image.readUInt16LE(at + 22), image.readUInt16LE(at + 24)];
  });

const NAMES = ['DIR        ', 'SUB        ', 'FILEOD~1   ', 'ROOT    TXT'];

test('FAT: times have no time zone and are restored unchanged; a file without a time gets the earliest one', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const dates: [string, string][] = [
    ['dir/sub/file odd', '2020-07-01T12:34:57Z'],
    ['root.txt', '1985-01-02T03:04:06Z'],
    ['none.txt', '2020-01-01T00:00:00Z'],
    ['dir/sub', '2019-02-03T04:05:06Z'],
    ['dir', '2018-03-25T02:30:00Z'],
  ];
  const populate = async (root: string) => {
    mkdirSync(join(root, 'dir', 'sub'), { recursive: true });
    for (const [name, date] of dates) {
      if (!name.endsWith('dir') && !name.endsWith('sub')) writeFileSync(join(root, name), 'x');
      utimesSync(join(root, name), new Date(date), new Date(date));
    }
  };
  const path = join(lab.directory, 'fat.img');
  await buildDisk({ path, table: 'none', partitions: [{ content: 'vfat', sizeMiB: 16, populate }] });
  const image = readFileSync(path);
  image.fill(0, image.indexOf('NONE    TXT') + 22, image.indexOf('NONE    TXT') + 26);
  writeFileSync(path, image);
  const { snapshotId } = await addSnapshotOfImage(lab, path);

  const log = join(lab.directory, 'mounts');
  const mount = `#!/bin/sh\nprintf '%s\\n' "$*" >> ${log}\nexec /usr/bin/mount "$@"\n`;
  const env = { TZ: 'America/New_York', PATH: pathWithout(lab, 'mount', mount) };
  const migrated = await runMigrate(lab, ['--all', '--validate'], { env });
  assert.equal(migrated.code, 0, migrated.stderr);
  assert.match(migrated.stderr, /no differences/);
  const restore = (...argv: string[]) => {
    const mounts = ['--mount-point', join(lab.directory, 'mnt')];
    return runCli(lab.env, ['restore', '--bucket', BUCKET, snapshotId, ...mounts, ...argv], { env });
  };
  const target = join(lab.directory, 'files');
  const files = await restore('--to-dir', target);
  assert.equal(files.code, 0, files.stderr);
  assert.equal(statSync(join(target, 'dir', 'sub', 'file odd')).mtimeMs, Date.parse('2020-07-01T12:34:56Z'));
  assert.equal(statSync(join(target, 'dir')).mtimeMs, Date.parse('2018-03-25T02:30:00Z'));
  const volume = await restore('--to-volume');
  assert.equal(volume.code, 0, volume.stderr);
  const [made] = await volumesIn(lab);
  const after = readFileSync(volumeImage(lab, made?.VolumeId ?? ''));
  assert.deepEqual(timesOnFat(after, NAMES), timesOnFat(image, NAMES));
  assert.deepEqual(timesOnFat(after, ['NONE    TXT']), [[0, 0x21]]);
  // Without tz=UTC, the kernel would shift times by the time zone of this machine's hardware clock.
  const mounts = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.includes('-t vfat'));
  assert.equal(mounts.length, 3, mounts.join('\n'));
  for (const line of mounts) assert.match(line, / -o (\S+,)?tz=UTC(,| )/);
});
