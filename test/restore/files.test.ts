/** Files are restored with all attributes, only as requested, and never outside of the target. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { keyEnding, readManifest } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { BUCKET, labForTest, type RunOptions, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { oneIn } from '../support/sampled.ts';
import { bytesOf, imageOf, replaceObject, through } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';
import { flagsOf, nameOf, suffixOf, WAYS } from '../support/ways.ts';

const runRestore = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli({ ...lab.env, ...options.env }, ['restore', '--bucket', BUCKET, '--json', ...argv], options);

const NASTY = {
  table: 'none' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 600, populate: (root: string) => makeNastyTree(join(root, 'nasty')) },
  ],
};

for (const way of oneIn(5, WAYS)) {
  test(`${nameOf(way)}: everything is restored, set-ID bits and capabilities only with --privileged`, async (t) => {
    const { flags, env } = await flagsOf(t, way);
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab, NASTY);
    const migrated = await runMigrate(lab, ['--all', ...flags], { env });
    assert.equal(migrated.code, 0, migrated.stdout + migrated.stderr);
    await keyEnding(lab, `.tar.${suffixOf(way)}`);
    assert.equal((await readManifest(lab)).source, way.source);
    const [whole, plain] = ['whole', 'plain'].map((name) => join(lab.directory, name)) as [string, string];
    const done = await runRestore(lab, [snapshotId, '--to-dir', whole, '--privileged'], { env });
    assert.equal(done.code, 0, done.stdout + done.stderr);
    await withMounted(imageOf(lab, snapshotId), null, async (root) => {
      const { list, compared } = await compareTrees(root, whole);
      assert.deepEqual(list, []);
      assert.ok(compared > 50);
      assert.equal(lstatSync(root, { bigint: true }).mtimeNs, lstatSync(whole, { bigint: true }).mtimeNs);
    });
    const modest = await runRestore(lab, [snapshotId, '--to-dir', plain], { env });
    assert.equal(modest.code, 0, modest.stdout + modest.stderr);
    assert.equal(existsSync(join(plain, 'nasty', 'block device')), false);
    assert.equal(lstatSync(join(plain, 'nasty', 'setuid')).mode & 0o7777, 0o755);
    const leftOut = recordsOf(modest).find(({ code }) => code === 'files.left-out');
    assert.deepEqual([leftOut?.['devices'], leftOut?.['privileges']], [2, 3]);
    const again = await runRestore(lab, [snapshotId, '--to-dir', plain], { env });
    assert.equal(again.code, 1);
    assert.match(again.stdout + again.stderr, /is not empty/);
  });
}

test('several partitions, some paths, and a damaged object', async (t) => {
  const lab = await labForTest(t);
  const populate = async (root: string) => {
    await fillPlainly(root);
    mkdirSync(join(root, 'etc', 'app'), { recursive: true });
    writeFileSync(join(root, 'etc', 'app', 'größe'), 'kept');
    writeFileSync(join(root, 'etc', 'other'), 'not asked for');
  };
  const partitions = [
    { content: 'ext4' as const, sizeMiB: 48, populate },
    { content: 'random' as const, sizeMiB: 4 },
    { content: 'ext4' as const, sizeMiB: 48, populate },
  ];
  const { snapshotId } = await addSnapshotOf(lab, { table: 'gpt', partitions });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const at = (name: string) => join(lab.directory, name);
  const some = await runRestore(lab, [snapshotId, '--to-dir', at('some'), '--path', '/etc/app/größe', 'nothing']);
  assert.equal(some.code, 10, some.stdout + some.stderr);
  assert.match(some.stdout, /does not contain nothing/);
  for (const number of ['1', '3']) {
    assert.equal(readFileSync(join(at('some'), number, 'etc/app/größe'), 'utf8'), 'kept');
    assert.deepEqual(readdirSync(join(at('some'), number)), ['etc']);
    assert.equal(lstatSync(join(at('some'), number)).mode & 0o777, 0o700, 'the directory stays as it is');
    assert.deepEqual(readdirSync(join(at('some'), number, 'etc')), ['app']);
  }
  assert.ok(recordsOf(some).some(({ code, partition }) => code === 'partition.not-restored' && partition === 2));
  const key = await keyEnding(lab, '.3.tar.lz4');
  const bytes = await bytesOf(lab, key);
  await replaceObject(lab, key, bytes.subarray(0, bytes.length / 2));
  const marks = () => ['1', '3'].map((number) => existsSync(join(at('cut'), number, '.snap-to-s3-unfinished')));
  const cut = await runRestore(lab, [snapshotId, '--to-dir', at('cut')]);
  assert.equal(cut.code, 12, cut.stdout + cut.stderr);
  assert.deepEqual(marks(), [true, true], 'the same command can go on');
  await replaceObject(lab, key, bytes);
  const mended = await runRestore(lab, [snapshotId, '--to-dir', at('cut')]);
  assert.equal(mended.code, 0, mended.stdout + mended.stderr);
  assert.deepEqual(marks(), [false, false]);
});

test('a target without space for files or attributes is reported, and the restore resumes', async (t) => {
  const lab = await labForTest(t);
  const fillWith = (attributed: number) => async (root: string) => {
    writeFileSync(join(root, 'noise'), randomBytes(20 * 2 ** 20));
    for (let at = 0; at < attributed; at++) {
      writeFileSync(join(root, `long-${at}`), '');
      // The short attribute fits into the inode, the long one into a block.
      for (const [name, length] of Object.entries({ long: 900, short: 50 }))
        await run(['setfattr', '-n', `user.${name}`, '-v', 'x'.repeat(length), join(root, `long-${at}`)]);
    }
    await run(['touch', '--date', '1960-01-01', join(root, 'noise')]);
  };
  const partitions = [7, 0].map((count) => ({ content: 'ext4' as const, sizeMiB: 40, populate: fillWith(count) }));
  const { snapshotId } = await addSnapshotOf(lab, { table: 'gpt', partitions });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const target = join(lab.directory, 'small');
  mkdirSync(target);
  // 30 MiB is enough for either partition, but not for both.
  await run(['mount', '-t', 'tmpfs', '-o', 'size=30m', 'tmpfs', target]);
  try {
    for (const paths of [[], ['--path', 'noise']]) {
      const refused = await runRestore(lab, [snapshotId, '--to-dir', target, ...paths]);
      assert.equal(refused.code, 1);
      assert.match(refused.stdout, /small needs 40.*; 30.* is free/);
      assert.deepEqual(readdirSync(target), []);
    }
    await run(['mount', '-o', 'remount,size=8m', target]);
    const some = await runRestore(lab, [snapshotId, '--to-dir', target, '--no-index', '--path', 'noise']);
    assert.equal(some.code, 1, some.stdout + some.stderr);
    assert.match(some.stdout, /"code":"TARGET".*(No space left|Wrote only)/);
    await run(['mount', '-o', 'remount,size=80m', target]);
    const again = await runRestore(lab, [snapshotId, '--to-dir', target]);
    assert.equal(again.code, 0, again.stdout + again.stderr);
  } finally {
    await run(['umount', target]);
  }
  // Inodes of 128 bytes have no space for attributes.
  const image = join(lab.directory, 'small.img');
  await run(['truncate', '--size', '80M', image]);
  await run(['mkfs.ext4', '-q', '-F', '-b', '1024', '-I', '128', image]);
  await run(['mount', '-o', 'loop', image, target]);
  try {
    const lacking = await runRestore(lab, [snapshotId, '--to-dir', target]);
    assert.equal(lacking.code, 0, lacking.stdout + lacking.stderr);
    const told = recordsOf(lacking).find(({ code }) => code === 'files.incomplete');
    assert.equal(told?.['count'], 7, lacking.stdout);
    const messages = told?.['messages'] as string[];
    assert.equal(messages.length, 5);
    for (const message of messages) assert.match(message, /user\.(long|short).*long-\d/);
  } finally {
    await run(['umount', target]);
  }
});

test('archives of version 0: .zstd, encrypted or not, and partitions named p1 and p2', async (t) => {
  const { flags, env } = await flagsOf(t, { source: 'volume', codec: 'zstd', cipher: 'gpg' });
  const lab = await labForTest(t);
  const partition = { content: 'ext4' as const, sizeMiB: 32, populate: fillPlainly };
  const { snapshotId } = await addSnapshotOf(lab, { table: 'gpt', partitions: [partition, partition] });
  assert.equal((await runMigrate(lab, ['--all', ...flags], { env })).code, 0);
  const old = 'snap-0123456789abcdef0';
  const put = (rest: string, Body: Buffer) => {
    const Key = `vol-0123456789abcdef0/2017-06-30T22:00:00-04:00 ${old} - web (nightly)${rest}`;
    const Metadata = { 'snapshot-snapshotid': old, 'uncompressed-size': '1' };
    return lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body, Metadata }));
  };
  const [first, second] = await Promise.all(
    [1, 2].map(async (number) => bytesOf(lab, await keyEnding(lab, `.${number}.tar.zst.gpg`))),
  );
  const gpg = ['env', `GNUPGHOME=${env['GNUPGHOME']}`, 'gpg', '--batch', '--quiet', '--decrypt'];
  await put('.p1.tar.zstd.gpg', first ?? Buffer.alloc(0));
  await put('.p2.tar.zstd', await through(gpg, second ?? Buffer.alloc(0)));
  const target = join(lab.directory, 'old');
  const done = await runRestore(lab, [old, '--to-dir', target], { env });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  for (const number of [1, 2]) {
    await withMounted(imageOf(lab, snapshotId), number, async (root) => {
      const { list, compared } = await compareTrees(root, join(target, String(number)));
      assert.deepEqual(list, []);
      assert.ok(compared > 3);
    });
  }
});

/** The properties of a member of a hostile tar, as in Python's tarfile. */
interface Hostile {
  name: string;
  type?: 'file' | 'dir' | 'sym' | 'lnk' | 'chr';
  link?: string;
  pax?: Record<string, string>;
}

const OUT = '@OUT@';

const HOSTILE: Record<string, Hostile[]> = {
  'an absolute name': [{ name: `${OUT}/x` }],
  'a way up': [{ name: '../outside/x' }],
  'a way up in the middle': [{ name: 'a', type: 'dir' }, { name: 'a/../../outside/x' }],
  'a way up by a long name': [{ name: 'x', pax: { path: '../outside/x' } }],
  'an absolute long name': [{ name: 'x', pax: { path: `${OUT}/x` } }],
  'a link to a directory, and a file in it': [{ name: 'l', type: 'sym', link: OUT }, { name: 'l/x' }],
  'a link up, and a file in it': [{ name: 'l', type: 'sym', link: '../outside' }, { name: 'l/x' }],
  'a link, and a file of its name': [{ name: 'l', type: 'sym', link: `${OUT}/x` }, { name: 'l' }],
  'a link to a link': [
    { name: 'a', type: 'sym', link: '..' },
    { name: 'b', type: 'sym', link: 'a/outside' },
    { name: 'b/x' },
  ],
  'a directory that becomes a link': [
    { name: 'd', type: 'dir' },
    { name: 'd', type: 'sym', link: OUT },
    { name: 'd/x' },
  ],
  'a link that becomes a directory': [
    { name: 'd', type: 'sym', link: OUT },
    { name: 'd', type: 'dir' },
    { name: 'd/x' },
  ],
  'a hard link to a file elsewhere': [{ name: 'h', type: 'lnk', link: `${OUT}/secret` }],
  'a hard link up': [{ name: 'h', type: 'lnk', link: '../outside/secret' }],
  'a hard link through a link': [
    { name: 'l', type: 'sym', link: OUT },
    { name: 'h', type: 'lnk', link: 'l/secret' },
  ],
  'a hard link to a link, and a file in it': [
    { name: 'l', type: 'sym', link: OUT },
    { name: 'h', type: 'lnk', link: 'l' },
    { name: 'h/x' },
  ],
  'a hard link by a long name': [{ name: 'h', type: 'lnk', link: 'x', pax: { linkpath: '../outside/secret' } }],
  'a file in what is no member': [{ name: 'nowhere/x' }],
  'a sparse file that is called otherwise': [
    {
      name: 'x',
      pax: {
        'GNU.sparse.major': '1',
        'GNU.sparse.minor': '0',
        'GNU.sparse.realsize': '0',
        'GNU.sparse.name': '../outside/x',
      },
    },
  ],
  'a device': [
    { name: 'null', type: 'chr' },
    { name: 'again', type: 'lnk', link: 'null' },
  ],
  'a name of dots': [{ name: '..' }],
};

const MAKE_TAR = `
import sys, json, io, tarfile
T = {'file': tarfile.REGTYPE, 'dir': tarfile.DIRTYPE, 'sym': tarfile.SYMTYPE, 'lnk': tarfile.LNKTYPE, 'chr': tarfile.CHRTYPE}
out = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.PAX_FORMAT)
for m in json.load(sys.stdin):
    i = tarfile.TarInfo(m['name']); i.type = T[m.get('type', 'file')]; i.linkname = m.get('link', '')
    i.pax_headers = m.get('pax', {}); i.mode = 0o755
    data = b'0\\n'.ljust(512, b'\\0') if i.type == tarfile.REGTYPE else b''
    i.size = len(data); out.addfile(i, io.BytesIO(data))
out.close()
`;

test('hostile tars write nothing outside the target, even as root', async (t) => {
  const lab = await labForTest(t);
  const outside = join(lab.directory, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'secret');
  const snapshotId = 'snap-0123456789abcdef0';
  const key = `vol-0123456789abcdef0/2017-01-01T00:00:00+00:00 ${snapshotId} - old.tar.lz4`;
  for (const [index, [name, members]] of oneIn(3, Object.entries(HOSTILE)).entries()) {
    const order = JSON.stringify([...members, { name: 'harmless' }]).replaceAll(OUT, outside);
    const tar = await through(['python3', '-c', MAKE_TAR], Buffer.from(order));
    const body = await through(['lz4', '-z', '-c', '-q', '-'], tar);
    await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body }));
    const target = join(lab.directory, `target-${index}`);
    const done = await runRestore(lab, [snapshotId, '--to-dir', target]);
    const said = done.stdout + done.stderr;
    assert.equal(done.code, name === 'a device' ? 0 : 12, `${name}: ${said}`);
    assert.doesNotMatch(said, /BUG|\n {4}at /, name);
    assert.deepEqual(readdirSync(outside), ['secret'], name);
    assert.equal(lstatSync(join(outside, 'secret')).nlink, 1, name);
    assert.ok(existsSync(join(target, 'harmless')), `${name}: what does no harm is restored`);
    assert.deepEqual(
      readdirSync(lab.directory).filter((found) => found === 'x'),
      [],
      name,
    );
  }
});
