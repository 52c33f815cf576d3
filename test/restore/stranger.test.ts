/** contrib/restore.py was written only from the description of the format. It reads what the program archives. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { withMounted } from '../../lab/disks/inspect.ts';
import { keyEnding, keysIn } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { gpgHome } from '../support/gpg.ts';
import { type Finished, labForTest, runMigrate, runProgram, type TestLab } from '../support/lab.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { oneIn } from '../support/sampled.ts';
import { bytesOf, imageOf } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';
import { flagsOf, type Way } from '../support/ways.ts';

const READER = join(import.meta.dirname, '..', '..', 'contrib', 'restore.py');

/** Downloads all objects of the bucket as files. Returns their directory. */
async function fetchAll(lab: TestLab): Promise<string> {
  const directory = join(lab.directory, 'bucket');
  for (const key of await keysIn(lab)) {
    mkdirSync(dirname(join(directory, key)), { recursive: true });
    writeFileSync(join(directory, key), await bytesOf(lab, key));
  }
  return directory;
}

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
  const bucket = await fetchAll(lab);
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
