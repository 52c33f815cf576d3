/** Programs and devices that fail in the middle of a stream: nothing is stored, and the cause is named. */
import assert from 'node:assert/strict';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { buildDisk, type DiskPlan } from '../../lab/disks/build.ts';
import { copyWhileMounted } from '../../lab/disks/copies.ts';
import { partitionPlace } from '../../lab/disks/inspect.ts';
import { unmount, withDevice } from '../../lab/disks/mounted.ts';
import { keyEnding, keysIn } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage, fillPlainly } from '../support/disks.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { type Finished, labForTest, recordsOf, runMigrate, runValidate, type TestLab } from '../support/lab.ts';
import { removeDirectory } from '../support/remove-directory.ts';

/**
 * Size of the noise in MiB. It is incompressible, and more than the pipes and the parts in flight can hold, so that the
 * stream stalls while S3 is slow.
 */
const LARGE = 192;

const fillWithNoise = (directory: string): Promise<unknown> =>
  run(['dd', 'if=/dev/urandom', `of=${join(directory, 'noise')}`, 'bs=1M', `count=${LARGE}`, 'status=none']);

const NOISY_DISK: Pick<DiskPlan, 'table' | 'partitions'> = {
  table: 'none',
  partitions: [
    {
      content: 'ext4',
      sizeMiB: LARGE + 64,
      populate: async (directory: string) => void (await fillWithNoise(directory)),
    },
  ],
};

/** Makes S3 hold back its response until the faults are cleared, so that the run waits in the middle of its work. */
async function stall(lab: TestLab, operation: string, match: Record<string, string> = {}): Promise<void> {
  const action = { kind: 'latency', milliseconds: 250_000 } as const;
  await lab.control.script({ service: 's3', operation, match, action });
}

/** Runs a migration, and calls `act` once the first part has arrived. */
async function interfere(lab: TestLab, argv: readonly string[], act: () => Promise<void>, env = {}): Promise<Finished> {
  await stall(lab, 'UploadPart');
  let acting: Promise<void> | undefined;
  const done = await runMigrate(lab, ['--all', '--upload-streams', '1', ...argv], {
    env,
    onLine: (line) => {
      if (line.includes(': storing '))
        acting = uploadHasBegun(lab)
          .then(act)
          .finally(() => lab.control.clearFaults());
    },
  });
  assert.ok(acting, `nothing was ever stored: ${done.stderr}`);
  await acting;
  return done;
}

async function uploadHasBegun(lab: TestLab): Promise<void> {
  for (;;) {
    const calls = await lab.control.calls();
    if (calls.some(({ operation }) => operation === 'UploadPart')) return;
  }
}

/** Kills the only process with this name that was started for this test. */
function killTool(lab: TestLab, tool: string): void {
  const mine = readdirSync('/proc').filter((pid) => {
    try {
      const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
      return name === tool && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`HOME=${lab.directory}`);
    } catch {
      return false;
    }
  });
  assert.equal(mine.length, 1, `processes called ${tool}: ${mine.length}`);
  process.kill(Number(mine[0]), 'SIGKILL');
}

async function nothingStored(lab: TestLab, done: Finished, culprit: RegExp): Promise<void> {
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, culprit);
  assert.match(done.stderr, /nothing is stored under this key/);
  assert.match(done.stderr, /snap-to-s3=migrate\n/, 'the tag is back');
  assert.deepEqual(await keysIn(lab), []);
}

for (const [tool, argv] of [
  ['tar', []],
  ['index', []],
  ['index', ['--compression', 'zstd']],
] as const) {
  test(`${tool} killed in the middle ${argv.join(' ')}`, async (t) => {
    const lab = await labForTest(t);
    await addSnapshotOf(lab, NOISY_DISK);
    const done = await interfere(lab, argv, async () => killTool(lab, tool === 'index' ? 'snap-index' : tool));
    await nothingStored(lab, done, new RegExp(`${tool} was killed by SIGKILL`));
  });
}

/** Puts an `lz4` first in PATH that compresses two blocks, and kills itself at the third. */
function lz4ThatDies(lab: TestLab): Record<string, string> {
  const programs = join(lab.directory, 'programs');
  const count = join(programs, 'count');
  mkdirSync(programs);
  const script = `#!/bin/sh\necho >> ${count}\n[ $(wc -l < ${count}) -lt 3 ] || kill -KILL $$\nexec /usr/bin/lz4 "$@"\n`;
  writeFileSync(join(programs, 'lz4'), script, { mode: 0o755 });
  return { PATH: `${programs}:${lab.env['PATH'] ?? process.env['PATH'] ?? ''}` };
}

for (const argv of [[], ['--dd', '--source', 'direct']]) {
  test(`lz4 killed at a block ${argv.join(' ')}`, async (t) => {
    const lab = await labForTest(t);
    await addSnapshotOf(lab, NOISY_DISK);
    const level = ['--all', '--compression-level', '3', ...argv];
    const done = await runMigrate(lab, level, { env: lz4ThatDies(lab) });
    await nothingStored(lab, done, /lz4 was killed by SIGKILL/);
  });
}

test('gpg killed in the middle', async (t) => {
  const lab = await labForTest(t);
  const home = await gpgHome(t);
  await addKey(home, 'ops@example.com');
  await addSnapshotOf(lab, NOISY_DISK);
  const encrypted = ['--gpg-recipient', 'ops@example.com'];
  const done = await interfere(lab, encrypted, async () => killTool(lab, 'gpg'), { GNUPGHOME: home });
  await nothingStored(lab, done, /gpg was killed by SIGKILL/);
});

test('a file that tar cannot read leads to an image, or with --strict to an error', async (t) => {
  const lab = await labForTest(t);
  const disk = await addSnapshotOf(lab, NOISY_DISK);
  await corruptFileOf(lab, disk.image);
  const strict = await runMigrate(lab, ['--all', '--strict']);
  await nothingStored(lab, strict, /the disk cannot be archived as files: \.\/noise cannot be read: /);
  const done = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /the disk is stored as a raw image: \.\/noise cannot be read: /);
  await keyEnding(lab, `${disk.snapshotId}.img.lz4`);
});

test('a damaged directory that the driver silently reads only in part leads to an image', async (t) => {
  const lab = await labForTest(t);
  const populate = async (directory: string) => {
    mkdirSync(join(directory, 'many'));
    for (let number = 0; number < 200; number++)
      writeFileSync(join(directory, 'many', `${number} ${'x'.repeat(40)}`), '');
  };
  const { image } = await addSnapshotOf(lab, {
    table: 'none',
    partitions: [{ content: 'ext2', sizeMiB: 16, options: ['-O', '^dir_index'], populate }],
  });
  const blockSize = Number(/Block size:\s+(\d+)/.exec(await run(['dumpe2fs', '-h', image]))?.[1]);
  const blocks = (await run(['debugfs', '-R', 'blocks /many', image])).trim().split(/\s+/);
  await damage(join(lab.directory, '..', 'lab', 'ec2', 'snapshots'), Number(blocks[2]) * blockSize);
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /the disk is stored as a raw image: ext2 is damaged; see dmesg/);
});

test('an unreadable file and a journal: the image is read from a disk without a replayed journal', async (t) => {
  const lab = await labForTest(t);
  const [clean, dirty] = [join(lab.directory, 'clean.img'), join(lab.directory, 'dirty.img')];
  const partitions: DiskPlan['partitions'] = [
    { content: 'ext4', sizeMiB: 32, populate: fillPlainly },
    { content: 'ext4', sizeMiB: 16, populate: fillPlainly },
  ];
  await buildDisk({ path: clean, table: 'gpt', partitions });
  await copyWhileMounted(clean, dirty, 1, async (directory) => {
    const file = openSync(join(directory, 'synced last'), 'w');
    writeFileSync(file, 'content');
    fsyncSync(file);
    closeSync(file);
  });
  const place = await partitionPlace(dirty, 1);
  await withDevice(dirty, place, { readOnly: false }, async (device) => {
    const block = Number((await run(['debugfs', '-R', 'blocks /etc', device])).trim().split(/\s+/)[0]);
    const blockSize = Number(/Block size:\s+(\d+)/.exec(await run(['dumpe2fs', '-h', device]))?.[1]);
    const file = openSync(device, 'r+');
    writeSync(file, Buffer.alloc(64, 0xff), 0, 64, block * blockSize);
    closeSync(file);
  });
  const { snapshotId } = await addSnapshotOfImage(lab, dirty);
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /partition 1 is stored as a raw image: \.\/etc\/? cannot be read: /);
  await keyEnding(lab, `${snapshotId}.2.tar.lz4`);
  const later = await runValidate(lab, ['--all']);
  assert.equal(later.code, 0, later.stderr);
});

test('a mount point in use fails the snapshot instead of storing an image', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const named = await runMigrate(lab, ['--all', '--json']);
  const [mounted] = recordsOf(named).filter(({ code }) => code === 'partition.mounted');
  const directory = String(mounted?.['mountPoint']);
  assert.notEqual(directory, join(lab.directory, 'mnt', snapshotId), 'runs for other buckets have mount points too');
  mkdirSync(join(directory, 'somebody else’s'), { recursive: true });
  const done = await runMigrate(lab, ['--snapshots', snapshotId, '--replace']);
  rmSync(directory, { recursive: true });
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, /is not an empty directory/);
  await keyEnding(lab, `${snapshotId}.tar.lz4`);
});

/** Damages the inode of a file on the snapshot's own image. The kernel detects this by the checksum of the inode. */
async function corruptFileOf(lab: TestLab, image: string): Promise<void> {
  const said = await run(['debugfs', '-R', 'imap /noise', image]);
  const found = /located at block (\d+), offset (0x[0-9a-f]+)/.exec(said);
  const blockSize = Number(/Block size:\s+(\d+)/.exec(await run(['dumpe2fs', '-h', image]))?.[1]);
  assert.ok(found && blockSize, said);
  const inode = Number(found[1]) * blockSize + Number(found[2]);
  // The extent tree of an inode begins at byte 40.
  await damage(join(lab.directory, '..', 'lab', 'ec2', 'snapshots'), inode + 40);
}

async function damage(directory: string, position: number): Promise<void> {
  for (const name of readdirSync(directory)) {
    const file = openSync(join(directory, name), 'r+');
    writeSync(file, Buffer.alloc(16, 0xff), 0, 16, position);
    closeSync(file);
  }
}

test('a device with read errors is not archived', async (t) => {
  const outer = await brittleDisk();
  const lab = await labForTest(t, { directory: join(outer.mountPoint, 'lab') });
  t.after(outer.remove); // after the lab, which is stored on it
  await addSnapshotOf(lab, NOISY_DISK);
  const done = await interfere(lab, ['--dd'], () => outer.damageVolumeOf(lab, 150 * 2 ** 20));
  await nothingStored(lab, done, /index exited 1 \(EIO.*\)/);
});

test('a device with read errors does not validate an image', async (t) => {
  const outer = await brittleDisk();
  const lab = await labForTest(t, { directory: join(outer.mountPoint, 'lab') });
  t.after(outer.remove); // after the lab, which is stored on it
  await addSnapshotOf(lab, NOISY_DISK);
  const stored = await runMigrate(lab, ['--all', '--dd']);
  assert.equal(stored.code, 0, stored.stderr);
  await stall(lab, 'GetObject', { key: await keyEnding(lab, '.img.lz4') });
  let acting: Promise<void> | undefined;
  const done = await runValidate(lab, ['--all'], {
    onLine: (line) => {
      if (line.includes(' verified: '))
        acting = outer.damageVolumeOf(lab, 150 * 2 ** 20).finally(() => lab.control.clearFaults());
    },
  });
  await acting;
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, /the comparison failed: EIO: i\/o error, read/);
  assert.match(done.stderr, /check dmesg for read errors/);
});

test('a device that ends too early is not archived', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab, NOISY_DISK);
  const done = await interfere(lab, ['--dd'], () => shrinkVolumeOf(lab));
  await nothingStored(lab, done, /of the 1073741824 bytes of the disk were read/);
});

async function shrinkVolumeOf(lab: TestLab): Promise<void> {
  const [attached] = (await lab.control.leftovers()).filter(({ kind }) => kind === 'loop-device');
  assert.ok(attached);
  await run(['truncate', '--size', '160M', attached.detail]);
  await run(['losetup', '--set-capacity', attached.id]);
}

/** Mounts a btrfs whose underlying disk can be damaged. Reads from it then fail as those from a failing disk do. */
async function brittleDisk() {
  const { mkdtempSync } = await import('node:fs');
  const { tmpdir } = await import('node:os');
  const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-brittle-'));
  const image = join(directory, 'outer.img');
  const mountPoint = join(directory, 'mnt');
  await run(['truncate', '--size', '3G', image]);
  await run(['mkfs.btrfs', '-q', '--metadata', 'dup', image]);
  await run(['mkdir', mountPoint]);
  await run(['mount', '-o', 'loop', image, mountPoint]);
  return {
    mountPoint,
    damageVolumeOf: (lab: TestLab, at: number) => damageVolume(lab, image, at),
    remove: async () => {
      // The last loop device may still be closing its file.
      await unmount(mountPoint);
      removeDirectory(directory);
    },
  };
}

/** Overwrites a range of the attached volume's image underneath its filesystem, and drops the kernel's caches. */
async function damageVolume(lab: TestLab, outer: string, at: number): Promise<void> {
  const [attached] = (await lab.control.leftovers()).filter(({ kind }) => kind === 'loop-device');
  assert.ok(attached);
  await run(['sync', '-f', attached.detail]);
  const position = await physicalPosition(attached.detail, at);
  const file = openSync(outer, 'r+');
  writeSync(file, Buffer.alloc(65_536, 0xee), 0, 65_536, position);
  closeSync(file);
  const caches = openSync('/proc/sys/vm/drop_caches', 'w');
  writeSync(caches, '3\n');
  closeSync(caches);
}

/** Returns where on the underlying disk a byte of a file is. btrfs maps its logical addresses by chunks. */
async function physicalPosition(file: string, at: number): Promise<number> {
  const extents = await run(['filefrag', '-v', '-b4096', file]);
  for (const line of extents.split('\n')) {
    const found = /^\s*\d+:\s+(\d+)\.\.\s*(\d+):\s+(\d+)\.\./.exec(line);
    if (!found) continue;
    const [first, last, logical] = found.slice(1).map(Number) as [number, number, number];
    if (at / 4096 < first || at / 4096 > last) continue;
    const address = (logical + Math.floor(at / 4096) - first) * 4096;
    return chunkOffset(file, address);
  }
  throw new Error(`byte ${at} of ${file} is a hole`);
}

async function chunkOffset(file: string, address: number): Promise<number> {
  const device = (await run(['findmnt', '--noheadings', '--output', 'SOURCE', '--target', file])).trim();
  const mapped = await run(['btrfs-map-logical', '-l', String(address), '-b', '4096', device]);
  const physical = /physical (\d+)/.exec(mapped);
  if (!physical) throw new Error(`no place for ${address}: ${mapped}`);
  return Number(physical[1]);
}
