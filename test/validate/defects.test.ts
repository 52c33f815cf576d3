/** Each defect of an archive, created on the disk or in the bucket, is found and named, and the exit code is 12. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import { formatStartTime } from '../../src/archive/key.ts';
import type { DifferenceNote } from '../../src/events.ts';
import { keyEnding } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { BUCKET, type Finished, labForTest, recordsOf, runMigrate, runValidate, type TestLab } from '../support/lab.ts';
import { oneIn } from '../support/sampled.ts';
import { bytesOf, changeDisk, imageOf, keepingTimes, replaceObject, through } from '../support/tamper.ts';

const DISK = { table: 'none', partitions: [{ content: 'ext4', sizeMiB: 32, populate: fill }] } as const;

const disk = () => ({ ...DISK, partitions: [...DISK.partitions] });

async function fill(directory: string): Promise<void> {
  const at = (name: string) => join(directory, name);
  mkdirSync(at('etc'));
  writeFileSync(at('etc/hostname'), 'machine\n');
  writeFileSync(at('letters'), 'abc'.repeat(100_000));
  writeFileSync(at('twin'), 'twin');
  linkSync(at('twin'), at('other twin'));
  writeFileSync(at('pair'), 'pair');
  linkSync(at('pair'), at('other pair'));
  await run(['setfattr', '-n', 'user.color', '-v', 'blue', at('pair')]);
  symlinkSync('letters', at('link'));
  writeFileSync(at('attributed'), 'x');
  await run(['setfattr', '-n', 'user.color', '-v', 'blue', at('attributed')]);
  writeFileSync(at('listed'), 'x');
  await run(['setfacl', '-m', 'u:1234:rw', at('listed')]);
  await run(['mknod', at('null'), 'c', '1', '3']);
}

async function migrated(t: Parameters<typeof labForTest>[0]): Promise<{ lab: TestLab; snapshotId: string }> {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, disk());
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  return { lab, snapshotId };
}

/** Returns all differences as `kind path: detail`, and checks that the report lists each of them. */
function differencesIn(done: Finished): string[] {
  const report = recordsOf(done).find(({ code }) => code === 'snapshot.validated');
  const listed = report?.['differences'] as DifferenceNote[] | undefined;
  assert.equal(report?.['differenceCount'], listed?.length);
  return (listed ?? []).map(({ kind, path, detail }) => `${kind} ${path}: ${detail}`);
}

/** Checks that `validate` exits with 12, reports exactly these differences, and sets the tag back to `migrated`. */
async function expectDifferences(lab: TestLab, snapshotId: string, expected: RegExp[], argv: string[] = []) {
  const done = await runValidate(lab, ['--snapshots', snapshotId, '--json', ...argv]);
  assert.equal(done.code, 12, done.stdout + done.stderr);
  const differences = differencesIn(done);
  assert.equal(differences.length, expected.length, differences.join('\n'));
  for (const pattern of expected)
    assert.ok(
      differences.some((text) => pattern.test(text)),
      differences.join('\n'),
    );
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
}

/** Changes of the disk, and the differences that they lead to. */
const ON_DISK: [string, (directory: string) => Promise<void>, RegExp[]][] = [
  [
    'a file that only the disk has',
    async (directory) => writeFileSync(join(directory, 'new'), ''),
    [/^not-in-archive new: /],
  ],
  [
    'a file that only the archive has',
    async (directory) => rmSync(join(directory, 'listed')),
    [/^not-on-disk listed: /],
  ],
  [
    'a renamed file',
    async (directory) => renameSync(join(directory, 'letters'), join(directory, 'LETTERS')),
    [/^not-on-disk letters: /, /^not-in-archive LETTERS: /],
  ],
  [
    'one changed byte, with the same mtime',
    async (directory) => {
      const path = join(directory, 'letters');
      await keepingTimes(path, async () => {
        const file = openSync(path, 'r+');
        writeSync(file, 'X', 150_000);
        closeSync(file);
      });
    },
    [/^content letters: the first difference is near byte \d+$/],
  ],
  [
    'one more byte, with the same mtime',
    async (directory) => {
      const path = join(directory, 'letters');
      await keepingTimes(path, async () => writeFileSync(path, 'd', { flag: 'a' }));
    },
    [/^size letters: 300000 bytes in the archive, 300001 on the disk$/],
  ],
  [
    'another mode',
    async (directory) => chmodSync(join(directory, 'letters'), 0o4600),
    [/^mode letters: 0644 in the archive, 4600 on the disk$/],
  ],
  [
    'another owner',
    async (directory) => lchownSync(join(directory, 'link'), 7, 8),
    [/^owner link: 0:0 in the archive, 7:8 on the disk$/],
  ],
  [
    'another mtime',
    async (directory) => lutimesSync(join(directory, 'letters'), 1, 86_400),
    [/^mtime letters: .* 1970-01-02T00:00:00.000Z on the disk$/],
  ],
  [
    'an mtime that is one nanosecond later',
    async (directory) => {
      const { mtimeNs } = statSync(join(directory, 'letters'), { bigint: true });
      const next = mtimeNs + 1n;
      const stamp = `@${next / 10n ** 9n}.${String(next % 10n ** 9n).padStart(9, '0')}`;
      await run(['touch', '--date', stamp, join(directory, 'letters')]);
    },
    [/^mtime letters: /],
  ],
  [
    'another link target',
    async (directory) => {
      await keepingTimes(join(directory, 'link'), async () => {
        rmSync(join(directory, 'link'));
        symlinkSync('LETTERS', join(directory, 'link'));
      });
    },
    [/^target link: /],
  ],
  [
    'another attribute',
    async (directory) => void (await run(['setfattr', '-n', 'user.color', '-v', 'red', join(directory, 'attributed')])),
    [/^xattrs attributed: /],
  ],
  [
    'a removed attribute',
    async (directory) => void (await run(['setfattr', '-x', 'user.color', join(directory, 'attributed')])),
    [/^xattrs attributed: /],
  ],
  [
    'one more attribute',
    async (directory) => void (await run(['setfattr', '-n', 'user.x', '-v', 'y', join(directory, 'etc')])),
    [/^xattrs etc: /],
  ],
  [
    'another access control list',
    async (directory) => void (await run(['setfacl', '-m', 'u:4321:rw', join(directory, 'listed')])),
    [/^xattrs listed: /],
  ],
  [
    'a hard link that became a copy',
    async (directory) => {
      const path = join(directory, 'other twin');
      await keepingTimes(path, async () => {
        rmSync(path);
        copyFileSync(join(directory, 'twin'), path);
      });
    },
    [/^links (other )?twin: a hard link in the archive, a separate file on the disk$/],
  ],
  [
    'another device number',
    async (directory) => {
      const path = join(directory, 'null');
      await keepingTimes(path, async () => {
        rmSync(path);
        await run(['mknod', path, 'c', '1', '5']);
      });
    },
    [/^device null: 1:3 in the archive, 1:5 on the disk$/],
  ],
  [
    'a file that became a directory',
    async (directory) => {
      const path = join(directory, 'etc/hostname');
      await keepingTimes(join(directory, 'etc'), async () => {
        await keepingTimes(path, async () => {
          rmSync(path);
          mkdirSync(path, { mode: 0o644 });
        });
      });
    },
    [/^type etc\/hostname: file in the archive, directory on the disk$/],
  ],
];

test('changed files on the disk are differences', async (t) => {
  const lab = await labForTest(t);
  const first = await addSnapshotOf(lab, disk());
  const ids = [first.snapshotId];
  const changes = oneIn(3, ON_DISK);
  while (ids.length < changes.length) ids.push((await addSnapshotOfImage(lab, first.image)).snapshotId);
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  for (const [index, [what, change, expected]] of changes.entries()) {
    const snapshotId = ids[index] ?? '';
    await t.test(what, async () => {
      await changeDisk(lab, snapshotId, null, change);
      await expectDifferences(lab, snapshotId, expected);
    });
  }
});

test('--content-only compares only names and contents', async (t) => {
  const { lab, snapshotId } = await migrated(t);
  await changeDisk(lab, snapshotId, null, async (directory) => {
    chmodSync(join(directory, 'letters'), 0o4600);
    lchownSync(join(directory, 'link'), 7, 8);
    await run(['setfattr', '-n', 'user.color', '-v', 'red', join(directory, 'attributed')]);
  });
  const done = await runValidate(lab, ['--snapshots', snapshotId, '--content-only']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /names and contents of files compared with the snapshot/);
});

test('attributes of files with several names are compared', async (t) => {
  const { lab, snapshotId } = await migrated(t);
  const set = (name: string, value: string) =>
    changeDisk(lab, snapshotId, null, async (directory) => {
      await run(['setfattr', '-n', 'user.color', '-v', value, join(directory, name)]);
    });
  await set('twin', 'red');
  await expectDifferences(lab, snapshotId, [/^xattrs (other )?twin: the archive has the file without /]);
  await set('other pair', 'red');
  await expectDifferences(lab, snapshotId, [/^xattrs (other )?twin: /, /^xattrs (other )?pair: .* differ$/]);
  await changeDisk(lab, snapshotId, null, async (directory) => {
    await run(['setfattr', '-x', 'user.color', join(directory, 'twin')]);
    await run(['setfattr', '-n', 'user.color', '-v', 'blue', join(directory, 'pair')]);
  });
  const done = await runValidate(lab, ['--snapshots', snapshotId]);
  assert.equal(done.code, 0, done.stderr);
});

/** Changes of the stored tar, made with standard tools, and the differences that they lead to. */
const IN_THE_TAR: [string, (tar: string) => Promise<unknown>, RegExp[]][] = [
  [
    'a member outside the target',
    async (tar) => run(['tar', '-rPf', tar, '--transform', 's,^.*$,../../outside,', '/etc/hostname']),
    [/^outside \.\.\/\.\.\/outside: /],
  ],
  ['an absolute member', async (tar) => run(['tar', '-rPf', tar, '/etc/hostname']), [/^outside \/etc\/hostname: /]],
  [
    'a duplicate member',
    async (tar) => run(['tar', '-rf', tar, '-C', '/', '--transform', 's,^.*$,./letters,', 'etc/hostname']),
    [/^size letters/, /^mode letters/, /^mtime letters/, /^duplicate letters/],
  ],
  [
    'a duplicate member with attributes',
    async (tar) => {
      const directory = `${tar}.d`;
      mkdirSync(directory);
      await run(['tar', '-xf', tar, '--xattrs', '-C', directory, './attributed']);
      await run(['tar', '-rf', tar, '--format=pax', '--xattrs', '-C', directory, './attributed']);
    },
    [/^duplicate attributed: /, /^xattrs : the attributes of all files together differ/],
  ],
  ['a missing member', async (tar) => run(['tar', '-f', tar, '--delete', './letters']), [/^not-in-archive letters: /]],
];

for (const [what, change, expected] of oneIn(2, IN_THE_TAR)) {
  test(`in the tar: ${what}`, async (t) => {
    const { lab, snapshotId } = await migrated(t);
    const key = await keyEnding(lab, '.tar.lz4');
    const tar = join(lab.directory, 'changed.tar');
    writeFileSync(tar, await through(['lz4', '-d', '-c'], await bytesOf(lab, key)));
    await change(tar);
    await replaceObject(lab, key, await through(['lz4', '-1', '-c'], readFileSync(tar)));
    // These also differ, because the manifest records the stored size, the checksum and the plain size of the object.
    const stored = [/^stored-bytes : it has/, /^stored-bytes : the CRC-32/, /^stored-bytes : it decodes to/];
    const done = await runValidate(lab, ['--snapshots', snapshotId, '--json']);
    assert.equal(done.code, 12, done.stderr);
    const differences = differencesIn(done);
    const own = differences.filter((text) => !stored.some((pattern) => pattern.test(text)));
    assert.equal(own.length, expected.length, own.join('\n'));
    for (const pattern of expected)
      assert.ok(
        own.some((text) => pattern.test(text)),
        own.join('\n'),
      );
  });
}

test('a wrong object under the key is detected by its metadata and content', async (t) => {
  const lab = await labForTest(t);
  const first = await addSnapshotOf(lab, disk());
  const second = await addSnapshotOfImage(lab, (await addSnapshotOf(lab, undefined, { tags: {} })).image);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const [right, wrong] = [
    await keyEnding(lab, `${first.snapshotId}.tar.lz4`),
    await keyEnding(lab, `${second.snapshotId}.tar.lz4`),
  ];
  const Metadata = { 'snapshot-snapshotid': second.snapshotId };
  const Body = await bytesOf(lab, wrong);
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: right, Body, Metadata }));
  const done = await runValidate(lab, ['--snapshots', first.snapshotId]);
  assert.equal(done.code, 12, done.stderr);
  assert.match(done.stderr, /wrong-object: .*names snap-/);
  assert.match(done.stderr, /not-in-archive: \/link: /);
});

test('a missing object is a difference', async (t) => {
  const { lab, snapshotId } = await migrated(t);
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: await keyEnding(lab, '.tar.lz4') }));
  await expectDifferences(lab, snapshotId, [/^not-in-archive : the object is not in the bucket$/]);
});

test('a changed byte is a difference from an image', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, disk());
  assert.equal((await runMigrate(lab, ['--all', '--dd'])).code, 0);
  const file = openSync(imageOf(lab, snapshotId), 'r+');
  writeSync(file, 'X', 20_000_001);
  closeSync(file);
  await expectDifferences(lab, snapshotId, [/^content : the first difference is at byte 20000001$/]);
});

test('migrate --validate: an archive that differs gets no tag and no manifest', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, disk());
  // A bit flips when the object is read back, and again when it is read a second time.
  const { Snapshots } = await lab.ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [snapshotId] }));
  const { StartTime = new Date(0), VolumeId } = Snapshots?.[0] ?? {};
  const key = `${VolumeId}/${formatStartTime(StartTime)} ${snapshotId}.tar.lz4`;
  await lab.control.script({
    service: 's3',
    operation: 'GetObject',
    match: { key },
    action: { kind: 'behaviour', name: 'flip-bit', value: '1000' },
    times: 2,
  });
  const done = await runMigrate(lab, ['--all', '--validate']);
  assert.equal(done.code, 12, done.stderr);
  assert.deepEqual(await lab.control.unusedFaults(), []);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
});
