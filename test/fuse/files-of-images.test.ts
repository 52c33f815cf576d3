/** Files out of images: only the blocks that are needed are fetched, and each of them is compared with its hash. */
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { buildDisk } from '../../lab/disks/build.ts';
import { copyWhileMounted } from '../../lab/disks/copies.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { keyEnding } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage, fillPlainly } from '../support/disks.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { labForTest, type RunOptions, recordsOf, runMigrate } from '../support/lab.ts';
import { killFamily } from '../support/processes/kill-family.ts';
import { pathWithout } from '../support/processes/search-path.ts';
import { bytesOf } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';
import {
  damageNoise,
  makeNoisyFiles,
  NOISE,
  rangesRead,
  restoreFiles,
  runRestore,
  SMALL_FILES,
} from '../support/trees/noisy-files.ts';
import { until } from '../support/until.ts';

const NOISY = {
  table: 'none' as const,
  partitions: [{ content: 'ext4' as const, sizeMiB: 96, populate: makeNoisyFiles }],
};

/** Four filesystems, of which the first has everything that Linux allows. */
const DISK = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 64, options: ['-b', '4096'], populate: fillNastily },
    { content: 'xfs' as const, sizeMiB: 320, populate: makeNoisyFiles },
    { content: 'btrfs' as const, sizeMiB: 128, populate: makeNoisyFiles },
    { content: 'ntfs' as const, sizeMiB: 64, populate: makeNoisyFiles },
    { content: 'lvm' as const, sizeMiB: 4 },
  ],
};

async function fillNastily(directory: string): Promise<void> {
  mkdirSync(join(directory, 'etc'));
  writeFileSync(join(directory, 'etc', 'hostname'), 'machine\n');
  await makeNastyTree(join(directory, 'nasty'));
  symlinkSync('/', join(directory, 'out'));
}

const DD = ['--all', '--dd', '--source', 'direct', '--json'];

async function archived(
  t: TestContext,
  disk: typeof NOISY | typeof DISK | typeof NTFS,
  flags: readonly string[],
  options?: RunOptions,
) {
  const lab = await labForTest(t);
  const { snapshotId, image } = await addSnapshotOf(lab, disk);
  const done = await runMigrate(lab, [...DD, ...flags], options);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  return { lab, snapshotId, image };
}

for (const flags of [
  ['--compression', 'lz4'],
  ['--compression', 'zstd'],
  ['--compression', 'lz4', '--source', 'volume'],
]) {
  test(`${flags.join(' ')}: files of ext4, xfs, btrfs and ntfs are restored with all their attributes`, async (t) => {
    const { lab, snapshotId, image } = await archived(t, DISK, flags);
    const { into, restored } = await restoreFiles(lab, snapshotId, ['--path', 'etc', 'nasty', '--privileged']);
    assert.deepEqual(
      restored.map(({ target, verified }) => [target, verified]),
      [1, 2, 3, 4].map((number) => [join(into, String(number)), 'blocks']),
    );
    for (const [partition, name] of [
      [1, 'etc'],
      [1, 'nasty'],
      [2, 'etc'],
      [3, 'etc'],
      [4, 'etc'],
    ] as const) {
      const { list } = await withMounted(image, partition, (original) =>
        compareTrees(join(original, name), join(into, String(partition), name)),
      );
      assert.deepEqual(list, []);
    }
    const one = await restoreFiles(lab, snapshotId, ['--partition', '2', '--path', ...SMALL_FILES]);
    assert.equal(readFileSync(join(one.into, 'etc', 'hostname'), 'utf8'), 'machine\n');
    assert.equal(existsSync(join(one.into, 'noise-1')), false);
  });
}

test('only the ranges with the blocks that a file needs are read', async (t) => {
  const { lab, snapshotId } = await archived(t, NOISY, []);
  const stored = (await bytesOf(lab, await keyEnding(lab, '.img.lz4'))).length;
  const before = (await lab.control.calls()).length;
  const { into, fetched } = await restoreFiles(lab, snapshotId, ['--path', ...SMALL_FILES]);
  assert.equal(readFileSync(join(into, 'etc', 'hostname'), 'utf8'), 'machine\n');
  const read = await rangesRead(lab, before);
  assert.equal(read, fetched);
  assert.ok(read < stored / 2, `${read} of ${stored} bytes`);
});

for (const compression of ['lz4', 'zstd']) {
  test(`${compression}: a damaged block fails only the files that need it`, async (t) => {
    const { lab, snapshotId } = await archived(t, NOISY, ['--compression', compression]);
    const key = await damageNoise(lab, NOISE[1] ?? Buffer.alloc(0));
    const { into } = await restoreFiles(lab, snapshotId, ['--path', 'noise-1', ...SMALL_FILES]);
    assert.ok(readFileSync(join(into, 'noise-1')).equals(NOISE[0] ?? Buffer.alloc(0)));
    const damaged = join(lab.directory, 'damaged');
    const done = await runRestore(lab, [snapshotId, '--to-dir', damaged, '--path', 'noise-2']);
    assert.equal(done.code, 12, done.stdout + done.stderr);
    const codes = recordsOf(done).map(({ code }) => code);
    assert.ok(codes.includes('object.reread') && !codes.includes('object.restored'), codes.join());
    assert.match(done.stdout, new RegExp(`${/snap-\w+\.img/.exec(key)?.[0]}.*: block \\d+ of the disk`));
    assert.ok(existsSync(join(damaged, '.snap-to-s3-unfinished')));
  });
}

test('a block that was damaged in transit is read once more', async (t) => {
  const { lab, snapshotId } = await archived(t, NOISY, []);
  const fault = { service: 's3', operation: 'GetObject', match: { key: await keyEnding(lab, '.img.lz4') } } as const;
  await lab.control.script({ ...fault, skip: 3, times: 1, action: { kind: 'flip', at: 100_000 } });
  const into = join(lab.directory, 'files');
  const done = await runRestore(lab, [snapshotId, '--to-dir', into, '--path', 'noise-1']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.equal(recordsOf(done).filter(({ code }) => code === 'object.reread').length, 1);
  assert.ok(readFileSync(join(into, 'noise-1')).equals(NOISE[0] ?? Buffer.alloc(0)));
});

test('the journal of a running machine is replayed', async (t) => {
  const lab = await labForTest(t);
  const [image, dirty] = [join(lab.directory, 'clean.img'), join(lab.directory, 'dirty.img')];
  await buildDisk({ path: image, ...NOISY });
  await copyWhileMounted(image, dirty, null, async (directory) => {
    const file = openSync(join(directory, 'etc', 'last'), 'w');
    writeFileSync(file, 'synced\n');
    fsyncSync(file);
    closeSync(file);
  });
  const { snapshotId } = await addSnapshotOfImage(lab, dirty);
  assert.equal((await runMigrate(lab, DD)).code, 0);
  const { into } = await restoreFiles(lab, snapshotId, ['--path', 'etc/last']);
  assert.equal(readFileSync(join(into, 'etc', 'last'), 'utf8'), 'synced\n');
});

test('paths that are not there, or lead out of the filesystem, are named, and the others are restored', async (t) => {
  const { lab, snapshotId } = await archived(t, DISK, []);
  const into = join(lab.directory, 'files');
  const paths = ['out/etc/passwd', 'nasty', 'nothing'];
  const done = await runRestore(lab, [snapshotId, '--to-dir', into, '--partition', '1', '--path', ...paths]);
  assert.equal(done.code, 10, done.stdout + done.stderr);
  assert.match(done.stdout, /does not contain out\/etc\/passwd, nothing/);
  assert.ok(existsSync(join(into, 'nasty', 'setuid')));
  assert.equal(existsSync(join(into, 'out')), false);
  const none = join(lab.directory, 'none');
  for (const argv of [
    ['--path', 'nothing'],
    ['--partition', '9', '--path', 'etc'],
    ['--partition', '5', '--path', 'etc'],
  ]) {
    const refused = await runRestore(lab, [snapshotId, '--to-dir', none, ...argv]);
    assert.equal(refused.code, 10, refused.stdout + refused.stderr);
    assert.equal(existsSync(none), false);
  }
});

test('a dry run mounts nothing; a target that is not empty, and a missing program, are refused', async (t) => {
  const { lab, snapshotId } = await archived(t, NOISY, []);
  const into = join(lab.directory, 'files');
  const argv = [snapshotId, '--to-dir', into, '--path', 'etc'];
  const before = (await lab.control.calls()).length;
  const dry = await runRestore(lab, [...argv, '--dry-run']);
  assert.equal(dry.code, 0, dry.stdout + dry.stderr);
  assert.ok(recordsOf(dry).some(({ code }) => code === 'restore.planned'));
  const missing = await runRestore(lab, argv, { env: { PATH: pathWithout(lab, 'umount') } });
  assert.equal(missing.code, 1, missing.stdout + missing.stderr);
  assert.match(missing.stdout, /not installed: umount/);
  mkdirSync(into);
  writeFileSync(join(into, 'precious'), '');
  const refused = await runRestore(lab, argv);
  assert.equal(refused.code, 1, refused.stdout + refused.stderr);
  assert.match(refused.stdout, /is not empty: precious/);
  assert.equal((await runRestore(lab, [...argv, '--no-index'])).code, 2);
  assert.equal(await rangesRead(lab, before), 0);
  assert.equal((await runRestore(lab, [...argv, '--overwrite'])).code, 0);
});

test('an encrypted image is refused, and the hint names --to-file', async (t) => {
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, 'ops@example.com');
  const { lab, snapshotId } = await archived(t, NOISY, ['--gpg-recipient', 'ops@example.com'], { env });
  const done = await runRestore(lab, [snapshotId, '--to-dir', join(lab.directory, 'files'), '--path', 'etc'], { env });
  assert.equal(done.code, 10, done.stdout + done.stderr);
  assert.match(done.stdout, /it is encrypted.*--to-file/);
});

test('an image in an archive class is thawed first, at a price that is shown', async (t) => {
  const { lab, snapshotId } = await archived(t, NOISY, ['--storage-class', 'DEEP_ARCHIVE']);
  const argv = [snapshotId, '--to-dir', join(lab.directory, 'files'), '--path', 'etc'];
  const told = await runRestore(lab, argv);
  assert.equal(told.code, 1, told.stdout + told.stderr);
  assert.ok(recordsOf(told).some(({ code }) => code === 'thaw.offered'));
  await restoreFiles(lab, snapshotId, ['--path', 'etc', '--yes', '--wait']);
});

/** A partition of it is stored as an image where ntfs-3g is missing. */
const NTFS = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 16, populate: fillPlainly },
    { content: 'ntfs' as const, sizeMiB: 64, populate: makeNoisyFiles },
  ],
};

test('files of a partition that was stored as an image are restored once there is a driver', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, NTFS);
  const without = { env: { PATH: pathWithout(lab, 'ntfs-3g') } };
  const done = await runMigrate(lab, ['--all', '--json'], without);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const part = ['--partition', '2', '--path', ...SMALL_FILES];
  const into = join(lab.directory, 'files');
  const refused = await runRestore(lab, [snapshotId, '--to-dir', into, ...part], without);
  assert.equal(refused.code, 1, refused.stdout + refused.stderr);
  assert.match(refused.stdout, /no driver for ntfs.*install ntfs-3g/);
  assert.equal(existsSync(into), false);
  const restored = await restoreFiles(lab, snapshotId, part);
  assert.equal(readFileSync(join(restored.into, 'etc', 'hostname'), 'utf8'), 'machine\n');
});

for (const [what, stop, disk, partition] of [
  ['killed with all its children', (marker: string) => killFamily(marker), NOISY, []],
  ['killed alone', null, NTFS, ['--partition', '2']],
] as const) {
  test(`a run that was ${what} succeeds when it is run again, and nothing is left`, async (t) => {
    const { lab, snapshotId } = await archived(t, disk, []);
    const marker = `${snapshotId}-run`;
    const into = join(lab.directory, 'killed');
    const argv = [snapshotId, '--to-dir', into, ...partition, '--path', 'noise-1', 'etc'];
    const killed = await runRestore(lab, argv, {
      env: { SNAP_TO_S3_TEST_RUN: marker },
      onLine: (line, kill) => {
        if (line.includes('"partition.mounted"')) (stop ?? (() => kill('SIGKILL')))(marker);
      },
    });
    assert.equal(killed.code, null);
    const again = await runRestore(lab, argv);
    assert.equal(again.code, 0, again.stdout + again.stderr);
    assert.ok(readFileSync(join(into, 'noise-1')).equals(NOISE[0] ?? Buffer.alloc(0)));
  });
}

test('Ctrl+C releases everything', async (t) => {
  const { lab, snapshotId } = await archived(t, NOISY, []);
  const argv = [snapshotId, '--to-dir', join(lab.directory, 'files'), '--path', 'noise-1'];
  const done = await runRestore(lab, argv, {
    onLine: (line, kill) => {
      if (line.includes('"partition.mounted"')) kill('SIGINT');
    },
  });
  assert.equal(done.code, 130, done.stdout + done.stderr);
});

test('Ctrl+C does not wait for a bucket that does not answer', async (t) => {
  const { lab, snapshotId } = await archived(t, NOISY, []);
  const argv = [snapshotId, '--to-dir', join(lab.directory, 'files'), '--path', 'noise-1', '--call-timeout', '600'];
  const stopWhenStuck = async (kill: (name: NodeJS.Signals) => void) => {
    const before = (await lab.control.calls()).length;
    await lab.control.script({ service: 's3', operation: 'GetObject', times: 1000, action: { kind: 'hang' } });
    await until(async () => (await lab.control.calls()).length > before);
    kill('SIGINT');
  };
  const stopping: Promise<void>[] = [];
  const done = await runRestore(lab, argv, {
    onLine: (line, kill) => {
      if (line.includes('"partition.mounted"')) stopping.push(stopWhenStuck(kill));
    },
  });
  await Promise.all(stopping);
  await lab.control.clearFaults();
  assert.equal(done.code, 130, done.stdout + done.stderr);
  // Programs that wait for the disk cannot even be killed.
  assert.doesNotMatch(done.stdout + done.stderr, /could not clean up|is left/);
});
