/**
 * contrib/restore.py was written only from the description of the format. It reads what the program archives. ACLs are
 * restored by number on a machine where other users have the names of theirs.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { NODE_FLAGS } from '../../src/lib/node-flags.ts';
import { fetchBucket, keyEnding } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { gpgHome } from '../support/gpg.ts';
import { BUCKET, type Finished, labForTest, PROGRAM, runMigrate, runProgram, type TestLab } from '../support/lab.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { oneIn } from '../support/sampled.ts';
import { bytesOf, imageOf } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';
import { flagsOf, type Way } from '../support/ways.ts';

const READER = join(import.meta.dirname, '..', '..', 'contrib', 'restore.py');

type Reader = (command: string, ...argv: string[]) => Promise<Finished>;

/** Archives a disk and downloads the bucket. Returns functions that run contrib/restore.py on the download. */
async function archived(
  t: TestContext,
  disk: Parameters<typeof addSnapshotOf>[1],
  way: Way,
  more: readonly string[] = [],
) {
  const { flags, env } = await flagsOf(t, way);
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, disk);
  const migrated = await runMigrate(lab, ['--all', ...flags, ...more], { env });
  assert.equal(migrated.code, 0, migrated.stdout + migrated.stderr);
  const bucket = await fetchBucket(lab);
  const manifest = await keyEnding(lab, '.manifest.json');
  const readerWith =
    (keyring: Record<string, string>): Reader =>
    (command, ...argv) =>
      runProgram(['/usr/bin/python3', READER, command, bucket, manifest, ...argv], { env: { ...lab.env, ...keyring } });
  return { lab, reader: readerWith(env), readerWith, image: imageOf(lab, snapshotId), bucket };
}

const GPT = {
  table: 'gpt' as const,
  partitions: [
    { content: 'random' as const, sizeMiB: 4 },
    { content: 'ext4' as const, sizeMiB: 600, populate: (root: string) => makeNastyTree(join(root, 'nasty')) },
  ],
};

for (const [codec, cipher] of [
  ['lz4', 'none'],
  ['zstd', 'gpg'],
] as const) {
  test(`${codec}, ${cipher}: all or some files with all their attributes`, async (t) => {
    const { lab, reader, readerWith, image } = await archived(t, GPT, { source: 'volume', codec, cipher });
    const listed = await reader('list');
    assert.match(listed.stdout, /partition 1, None[\s\S]*partition 2, ext4/);
    const [whole, some] = ['whole', 'some'].map((name) => join(lab.directory, name)) as [string, string];
    const done = await reader('files', whole);
    assert.equal(done.code, 0, done.stderr);
    await withMounted(image, 2, async (root) => {
      const { list, compared } = await compareTrees(root, whole);
      assert.deepEqual(list, []);
      assert.ok(compared > 50);
    });
    const chosen = await reader('files', some, '--path', 'nasty/setuid');
    assert.equal(chosen.code, 0, chosen.stderr);
    assert.deepEqual(readdirSync(join(some, 'nasty')), ['setuid']);
    const nowhere = join(lab.directory, 'nowhere');
    const unknown = await reader('files', nowhere, '--path', 'nasty/setuid', '--path', 'nasty/nothing');
    assert.equal(unknown.code, 1, unknown.stdout);
    assert.match(unknown.stderr, /^the archive has no nasty\/nothing; nothing was restored$/m);
    assert.equal(existsSync(nowhere), false);
    const raw = join(lab.directory, 'raw');
    assert.equal((await reader('image', raw)).code, 0);
    if (cipher === 'gpg') {
      const stranger = await readerWith({ GNUPGHOME: await gpgHome(t) })('list');
      assert.equal(stranger.code, 1);
      assert.match(stranger.stderr, /^gpg failed, see above: the private key is missing/m);
      assert.doesNotMatch(stranger.stderr, /Traceback/);
    }
  });
}

for (const source of oneIn(2, ['volume', 'direct'])) {
  test(`the image of a disk, archived from ${source}`, async (t) => {
    const disk = { table: 'none' as const, partitions: [{ content: 'random' as const, sizeMiB: 5 }] };
    const { lab, reader, image, bucket } = await archived(t, disk, { source, codec: 'lz4', cipher: 'none' }, ['--dd']);
    const target = join(lab.directory, 'disk.img');
    const done = await reader('image', target);
    assert.equal(done.code, 0, done.stderr);
    await assertSameBytes(target, image);
    const key = await keyEnding(lab, '.img.lz4');
    writeFileSync(join(bucket, key), (await bytesOf(lab, key)).subarray(0, -1000));
    assert.notEqual((await reader('image', target)).code, 0, 'what is cut short is refused');
  });
}

const ACLS = {
  table: 'none' as const,
  partitions: [
    {
      content: 'ext4' as const,
      sizeMiB: 32,
      populate: async (root: string) => {
        mkdirSync(join(root, 'dir', 'below'), { recursive: true });
        for (const name of ['file', 'bare', 'dir/inner']) writeFileSync(join(root, name), name);
        await run(['setfacl', '-m', 'u:7:r,g:7:rw,u:12345:x,m::rwx', join(root, 'file')]);
        await run(['setfacl', '-m', 'u:7:rx', '-d', '-m', 'u:7:rwx,g:12345:r', join(root, 'dir')]);
        await run(['setfacl', '-d', '-m', 'g:7:rwx', join(root, 'dir', 'below')]);
      },
    },
  ],
};

/** Runs a command where the names of all users and groups below 1000 have numbers that are larger by 4000. */
async function elsewhere(lab: TestLab, argv: readonly string[]): Promise<Finished> {
  const binds = ['passwd', 'group'].map((name) => {
    const file = join(lab.directory, `other-${name}`);
    const raised = readFileSync(`/etc/${name}`, 'utf8').replace(
      /^([^:]+:[^:]*):(\d{1,3}):/gm,
      (_, before: string, id: string) => `${before}:${Number(id) + (id === '0' ? 0 : 4000)}:`,
    );
    writeFileSync(file, raised);
    return `mount --bind '${file}' /etc/${name}`;
  });
  const script = `${binds.join(' && ')} && [ "$(id -u lp)" = 4007 ] && exec "$@"`;
  return runProgram(['unshare', '--mount', 'bash', '-c', script, 'elsewhere', ...argv], { env: lab.env });
}

/** The command that docs/archive-format.md gives for archives in lz4, without its beginning that fetches the object. */
function documentedTar(): string {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'archive-format.md'), 'utf8');
  return /KEY\.tar\.lz4" - \| (lz4 -d \| tar .*)/.exec(text)?.[1] ?? assert.fail('there is no such command');
}

test('ACLs are restored by number where other users have these names', async (t) => {
  assert.equal((await run(['id', '-u', 'lp'])).trim(), '7', 'the archiving machine has a name for the user');
  const { lab, bucket, image } = await archived(t, ACLS, { source: 'volume', codec: 'lz4', cipher: 'none' });
  const [key, manifest] = [await keyEnding(lab, '.tar.lz4'), await keyEnding(lab, '.manifest.json')];
  const snapshotId = /snap-[0-9a-f]+/.exec(key)?.[0] ?? '';
  const target = (name: string) => join(lab.directory, name);
  mkdirSync(target('tar'));
  mkdirSync(target('inheriting'));
  await run(['setfacl', '-d', '-m', 'u:99:rwx', target('inheriting')]);
  const cli = [process.execPath, ...NODE_FLAGS, PROGRAM, 'restore', snapshotId, '--bucket', BUCKET, '--to-dir'];
  const ways = {
    restore: [...cli, target('restore')],
    inheriting: [...cli, target('inheriting/restore')],
    reader: ['/usr/bin/python3', READER, 'files', bucket, manifest, target('reader')],
    tar: [
      'bash',
      '-o',
      'pipefail',
      '-c',
      `cd "$2" && cat "$1" | ${documentedTar()}`,
      'tar',
      join(bucket, key),
      target('tar'),
    ],
  };
  await withMounted(image, null, async (root) => {
    for (const [name, argv] of Object.entries(ways)) {
      const done = await elsewhere(lab, argv);
      assert.equal(done.code, 0, name + done.stdout + done.stderr);
      const { list } = await compareTrees(root, target(name === 'inheriting' ? 'inheriting/restore' : name));
      assert.deepEqual(list, [], name);
    }
  });
});
