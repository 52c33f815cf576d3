/** The index of a tar is correct, limits what is fetched for a file, and is refused if it does not match the tar. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import { keyEnding, readManifest } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, type Finished, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { fullOr, oneIn } from '../support/sampled.ts';
import { bytesOf, replaceObject, through } from '../support/tamper.ts';

const runRestore = (lab: TestLab, argv: readonly string[], env: Record<string, string> = {}) =>
  runCli({ ...lab.env, ...env }, ['restore', '--bucket', BUCKET, '--json', ...argv]);

const MiB = 2 ** 20;

/** Size of the large files, which compress little. */
const BALLAST_MIB = fullOr('MiB of large files', 2048, 160);

const small = randomBytes(4096);

/** Creates a small file among large ones, and a file with three names, the first of which is in another directory. */
function populate(root: string): void {
  for (const name of ['a', 'wanted', 'z']) mkdirSync(join(root, name));
  const ballast = randomBytes(8 * MiB);
  for (let at = 0; at < BALLAST_MIB / 16; at++) {
    writeFileSync(join(root, 'a', `${at}`), ballast);
    writeFileSync(join(root, 'z', `${at}`), ballast);
  }
  writeFileSync(join(root, 'wanted', 'small'), small);
  writeFileSync(join(root, 'a', 'linked'), 'one file, three names');
  for (const name of ['wanted/one', 'wanted/two']) linkSync(join(root, 'a', 'linked'), join(root, name));
}

const DISK = {
  table: 'none' as const,
  partitions: [
    // An eighth of the ballast is added for the filesystem itself.
    { content: 'ext4' as const, sizeMiB: 64 + BALLAST_MIB * 1.125, populate: async (root: string) => populate(root) },
  ],
};

/** Adds up the ranges that the recorded calls requested. */
async function bytesFetched(lab: TestLab, ending: string): Promise<number> {
  const calls = (await lab.control.calls()).filter(
    ({ operation, details }) => operation === 'GetObject' && details['key']?.endsWith(ending),
  );
  return calls.reduce((sum, { details }) => {
    const [, from = '', to = ''] = /^bytes=(\d+)-(\d+)$/.exec(details['range'] ?? '') ?? [];
    return sum + Number(to) - Number(from) + 1;
  }, 0);
}

const restoredOf = (done: Finished) => recordsOf(done).find(({ code }) => code === 'object.restored');

for (const [codec, suffix] of [
  ['lz4', '.tar.lz4'],
  ['zstd', '.tar.zst'],
]) {
  test(`${codec}: restoring a small file from ${BALLAST_MIB} MiB reads a few MiB`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab, DISK);
    const migrated = await runMigrate(lab, ['--all', '--compression', codec ?? '']);
    assert.equal(migrated.code, 0, migrated.stdout + migrated.stderr);
    const into = join(lab.directory, 'some');
    const done = await runRestore(lab, [snapshotId, '--to-dir', into, '--path', 'wanted/small']);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.deepEqual(readFileSync(join(into, 'wanted', 'small')), small);
    assert.deepEqual(readdirSync(into), ['wanted']);
    const fetched = await bytesFetched(lab, suffix ?? '');
    const ofIndex = await bytesFetched(lab, '.index.zst');
    assert.equal(restoredOf(done)?.['fetchedBytes'], fetched + ofIndex);
    assert.equal(ofIndex, (await bytesOf(lab, await keyEnding(lab, '.index.zst'))).length, 'fetched once');
    assert.ok(fetched > 0 && fetched <= 12 * MiB, `${fetched} bytes`);
    await hardLinks(lab, snapshotId);
    await withoutIndex(lab, snapshotId);
  });
}

/** Checks that hard links are restored if the tar stores their data under a name that was not requested. */
async function hardLinks(lab: TestLab, snapshotId: string): Promise<void> {
  const into = join(lab.directory, 'links');
  const done = await runRestore(lab, [snapshotId, '--to-dir', into, '--path', 'wanted/two', 'wanted/one']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const [one, two] = ['one', 'two'].map((name) => join(into, 'wanted', name)) as [string, string];
  assert.equal(readFileSync(one, 'utf8'), 'one file, three names');
  assert.equal(lstatSync(one).ino, lstatSync(two).ino);
  assert.equal(existsSync(join(into, 'a')), false);
}

async function withoutIndex(lab: TestLab, snapshotId: string): Promise<void> {
  const into = join(lab.directory, 'all-read');
  const done = await runRestore(lab, [snapshotId, '--to-dir', into, '--path', 'wanted/small', '--no-index']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.deepEqual(readFileSync(join(into, 'wanted', 'small')), small);
}

const PLAIN = {
  table: 'none' as const,
  partitions: [
    {
      content: 'ext4' as const,
      sizeMiB: 32,
      populate: async (root: string) => {
        mkdirSync(join(root, 'etc'));
        for (const name of ['a', 'b', 'c']) writeFileSync(join(root, 'etc', name), name.repeat(5000));
      },
    },
  ],
};

// biome-ignore lint/suspicious/noExplicitAny: it can be any JSON value.
type Line = any;

const isMember = (line: Line): boolean => 'span' in line;

/** Returns a change of properties of the member whose path has this ending. */
const change =
  (ending: string, change: object) =>
  (lines: Line[]): Line[] =>
    lines.map((line) => (isMember(line) && String(line.path).endsWith(ending) ? { ...line, ...change } : line));

/** Changes to a valid index: each returns other lines, or other bytes. */
const HOSTILE: Record<string, (lines: Line[]) => Line[] | Buffer> = {
  nothing: () => Buffer.alloc(0),
  noise: () => randomBytes(1000),
  'no end': (lines) => lines.slice(0, -1),
  'no header': (lines) => lines.slice(1),
  'another format': ([head, ...rest]) => [{ ...head, format: 7 }, ...rest],
  'of another snapshot': ([head, ...rest]) => [{ ...head, snapshot: 'snap-1' }, ...rest],
  'of another partition': ([head, ...rest]) => [{ ...head, partition: 3 }, ...rest],
  'of an image': () => [{ format: 1, snapshot: 'snap-1', bytes: 1, blockBytes: 512 }],
  'a member that is missing': (lines) => lines.filter((line) => !String(line.path).endsWith('etc/a')),
  'members in another order': ([head, first, second, ...rest]) => [head, second, first, ...rest],
  'members twice': ([head, first, ...rest]) => [head, first, first, ...rest],
  'a span that ends before it begins': change('etc/b', { span: [9000, 512] }),
  'a span beyond everything': change('etc/b', { span: [2 ** 52, 2 ** 52 + 512] }),
  'a span of words': change('etc/b', { span: ['a', 'b'] }),
  'more data than the span': change('etc/b', { data: 2 ** 40 }),
  'another hash': change('etc/b', { sha256: '0'.repeat(64) }),
  'a hash that is none': change('etc/b', { sha256: '../../etc/passwd' }),
  'no hash': change('etc/b', { sha256: undefined }),
  'another name': change('etc/b', { path: './etc/bb' }),
  'a name that leads out': change('etc/b', { path: './../../b' }),
  'a negative size': change('etc/b', { size: -1 }),
  'an unknown type': change('etc/b', { type: 'door' }),
  'a time that is none': change('etc/b', { mtime: 'yesterday' }),
  'attributes that are none': change('etc/b', { xattrs: [1, 2] }),
  'a prototype': change('etc/b', { rights: { constructor: 1 } }),
  'pieces that go back': (lines) => [...lines.slice(0, -1), { piece: { plain: 0, stored: 0 } }, ...lines.slice(-1)],
  'pieces beyond the object': (lines) =>
    lines.map((line) =>
      'piece' in line && line.piece.plain > 0 ? { piece: { plain: 2 ** 40, stored: 2 ** 40 } } : line,
    ),
  'fewer members than it says': (lines) => [...lines.slice(0, -1), { end: { ...lines.at(-1).end, members: 10 ** 9 } }],
  'another length': (lines) => [...lines.slice(0, -1), { end: { ...lines.at(-1).end, bytes: 512 } }],
  'a line without an end': () => zstdCompressSync(Buffer.alloc(50 * MiB, 'a')),
  'a bomb': () => zstdCompressSync(Buffer.alloc(512 * MiB)),
};

const encode = (lines: Line[]): Buffer => zstdCompressSync(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));

const WRONG_PIECES = [0, 512].map((place) => ({ piece: { plain: place * 2 ** 20, stored: place } }));

/** Replaces the index, and makes the manifest name the new one. */
async function replaceIndex(lab: TestLab, key: string, bytes: Buffer): Promise<void> {
  await replaceObject(lab, key, bytes);
  const { ETag = '' } = await lab.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key }));
  const manifest = await readManifest(lab);
  const objects = manifest.objects.map((object) => ({ ...object, index: { key, etag: ETag, bytes: bytes.length } }));
  const text = JSON.stringify({ ...manifest, objects });
  await replaceObject(lab, await keyEnding(lab, '.manifest.json'), Buffer.from(text));
}

test('a manipulated index is refused, and nothing in it is trusted', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, PLAIN);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const key = await keyEnding(lab, '.index.zst');
  const good = await bytesOf(lab, key);
  // Node's decompressor stops after the first frame.
  const text = await through(['zstd', '-d', '-c', '-q', '-'], good);
  const lines: Line[] = text
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.ok(lines.at(-1).end.members > 4);
  for (const [number, [name, make]] of oneIn(3, Object.entries(HOSTILE)).entries()) {
    const made = make(structuredClone(lines));
    await replaceIndex(lab, key, Buffer.isBuffer(made) ? made : encode(made));
    const into = join(lab.directory, `into-${number}`);
    const done = await runRestore(lab, [snapshotId, '--to-dir', into, '--path', 'etc/a', 'etc/b']);
    const said = done.stdout + done.stderr;
    assert.ok([1, 10, 12].includes(done.code ?? 0), `${name}: exit ${done.code}: ${said}`);
    assert.doesNotMatch(said, /BUG|TypeError|RangeError|\n {4}at /, name);
    assert.equal(existsSync(join(lab.directory, 'b')), false, name);
  }
  await replaceObject(lab, key, encode(lines.filter((line) => !('piece' in line)).toSpliced(-1, 0, ...WRONG_PIECES)));
  const unknown = await runRestore(lab, [snapshotId, '--to-dir', join(lab.directory, 'unknown'), '--path', 'etc/b']);
  assert.equal(unknown.code, 0, `places of an index that the manifest does not name are not used: ${unknown.stdout}`);
  assert.equal(readFileSync(join(lab.directory, 'unknown', 'etc', 'b'), 'utf8'), 'b'.repeat(5000));
  await replaceObject(lab, key, zstdCompressSync('no index'));
  const without = await runRestore(lab, [snapshotId, '--to-dir', join(lab.directory, 'without'), '--no-index']);
  assert.equal(without.code, 0, without.stdout + without.stderr);
});

test('an encrypted index shows file names only to recipients', async (t) => {
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, 'ops@example.com');
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, PLAIN);
  const migrated = await runMigrate(lab, ['--all', '--gpg-recipient', 'ops@example.com'], { env });
  assert.equal(migrated.code, 0, migrated.stdout + migrated.stderr);
  const index = await bytesOf(lab, await keyEnding(lab, '.index.zst.gpg'));
  assert.throws(() => zstdDecompressSync(index));
  const into = join(lab.directory, 'into');
  const done = await runRestore(lab, [snapshotId, '--to-dir', into, '--path', 'etc/b'], env);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.deepEqual(readdirSync(join(into, 'etc')), ['b']);
  const nobody = await runRestore(lab, [snapshotId, '--to-dir', join(lab.directory, 'x'), '--path', 'etc/b'], {
    GNUPGHOME: await gpgHome(t),
  });
  assert.equal(nobody.code, 2, nobody.stdout + nobody.stderr);
});

/**
 * Strings to find and damage in the headers of members, and functions that create such members. Where there are two
 * strings, lz4 may have stored one of them as a copy of earlier digits.
 */
const IN_HEADERS: Record<string, { needles: string[]; plant: (file: string) => Promise<void> }> = {
  target: {
    needles: ['4f9c01e7d2'],
    // Targets of up to 100 bytes are stored in the tar header itself, which has a checksum.
    plant: async (file) => symlinkSync(`${'a'.repeat(100)}4f9c01e7d2b8`, file),
  },
  attribute: {
    needles: ['b3d86e50f7'],
    plant: async (file) => plain(file, ['setfattr', '-n', 'user.kind', '-v', 'b3d86e50f71a']),
  },
  'name of an attribute': {
    needles: ['6a1fd9'],
    plant: async (file) => plain(file, ['setfattr', '-n', 'user.6a1fd935', '-v', '1']),
  },
  rights: {
    needles: ['31337:', '52625:'],
    plant: async (file) => plain(file, ['setfacl', '-m', 'u:31337:r,u:52625:r']),
  },
  owner: {
    needles: ['021033', '317246'],
    plant: async (file) => plain(file, ['chown', '90210336:83172465']),
  },
  time: {
    needles: ['18765439', '.7528136'],
    plant: async (file) => plain(file, ['touch', '--date', '@1187654399.752813640']),
  },
  hole: {
    needles: ['105267', '328499'],
    plant: async (file) => {
      await run(['truncate', '--size', '4M', file]);
      const write = ['dd', 'if=/dev/urandom', `of=${file}`, 'bs=4096', 'count=1', 'conv=notrunc', 'status=none'];
      for (const at of [257, 802]) await run([...write, `seek=${at}`]);
    },
  },
};

async function plain(file: string, command: readonly string[]): Promise<void> {
  writeFileSync(file, 'content');
  await run([...command, file]);
}

test('damaged headers of a file are found even if only its pieces are read', async (t) => {
  const lab = await labForTest(t);
  const populate = async (root: string) => {
    mkdirSync(join(root, 'wanted'));
    for (const [name, { plant }] of Object.entries(IN_HEADERS)) await plant(join(root, 'wanted', name));
    writeFileSync(join(root, 'other'), randomBytes(6 * MiB));
  };
  const { snapshotId } = await addSnapshotOf(lab, {
    table: 'none',
    partitions: [{ content: 'ext4', sizeMiB: 32, populate }],
  });
  assert.equal((await runMigrate(lab, ['--all', '--compression', 'lz4'])).code, 0);
  const key = await keyEnding(lab, '.tar.lz4');
  const good = await bytesOf(lab, key);
  const restore = (names: readonly string[], into: string) => {
    const paths = names.map((name) => `wanted/${name}`);
    return runRestore(lab, [snapshotId, '--to-dir', join(lab.directory, into), '--path', ...paths]);
  };
  // A message names at most 5 differences.
  const all = Object.keys(IN_HEADERS);
  for (const names of [all.slice(0, 4), all.slice(4)]) {
    const bytes = Buffer.from(good);
    for (const name of names) damage(bytes, IN_HEADERS[name]?.needles ?? []);
    await replaceObject(lab, key, bytes);
    const done = await restore(names, `damaged ${names}`);
    assert.equal(done.code, 12, done.stdout);
    for (const name of names)
      assert.ok(done.stdout.includes(`wanted/${name}: not restored`), `${name}: ${done.stdout}`);
  }
  await replaceObject(lab, key, good);
  const whole = await restore(all, 'whole');
  assert.equal(whole.code, 0, whole.stdout);
});

/** Flips a bit of the last character of the first of these strings that is found. */
function damage(bytes: Buffer, needles: readonly string[]): void {
  const needle = needles.find((text) => bytes.includes(text)) ?? '';
  assert.notEqual(needle, '', `${needles} are not there as they are`);
  const last = bytes.indexOf(needle) + needle.length - 1;
  bytes[last] = (bytes[last] ?? 0) ^ 1;
}
