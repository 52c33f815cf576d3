/** Malicious manifests and indexes are refused with a message, and leave nothing behind. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { keyEnding } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, runCli, runMigrate } from '../support/lab.ts';
import { oneIn } from '../support/sampled.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';

// biome-ignore lint/suspicious/noExplicitAny: it can be any JSON value.
type Json = any;

const GEOMETRY = { blockBytes: 4096, inodeBytes: 256, inodes: 1000, features: [] };

/** Changes to a valid manifest: each returns another text, or the manifest with one change. */
const MANIFESTS: Record<string, (manifest: Json) => Json> = {
  nothing: () => '',
  'no JSON': () => '{"format":1,',
  null: () => 'null',
  'a list': () => '[]',
  'a number': () => '1',
  'a hundred thousand lists': () => '['.repeat(100_000),
  noise: () => randomBytes(10_000),
  'another format': (it) => ({ ...it, format: 2 }),
  'a format of words': (it) => ({ ...it, format: '1' }),
  'another snapshot': (it) => ({ ...it, snapshot: { ...it.snapshot, id: 'snap-1' } }),
  'no snapshot': (it) => ({ ...it, snapshot: null }),
  'a description that is none': (it) => ({ ...it, snapshot: { ...it.snapshot, description: {} } }),
  'tags that are none': (it) => ({ ...it, snapshot: { ...it.snapshot, tags: { a: { b: 1 } } } }),
  'an impossible size': (it) => ({ ...it, snapshot: { ...it.snapshot, sizeGiB: -1 } }),
  'no objects': (it) => ({ ...it, objects: undefined }),
  'an empty list of objects': (it) => ({ ...it, objects: [], disk: { ...it.disk, table: 'none' } }),
  'an object twice': (it) => ({ ...it, objects: [it.objects[0], it.objects[0]] }),
  'a partition beside the whole disk': (it) => ({ ...it, recorded: [{ partition: 1, filesystem: 'swap' }] }),
  'a record of nothing': (it) => ({ ...it, recorded: [null] }),
  'objects that are none': (it) => ({ ...it, objects: { length: 1 } }),
  'an object of nothing': (it) => ({ ...it, objects: [null] }),
  'no disk': (it) => ({ ...it, disk: null }),
  ...withObject({
    'a key that is a number': { key: 7 },
    'a key elsewhere': { key: '../../etc/passwd' },
    'a key of another snapshot': { key: 'vol-1/2017-01-01T00:00:00+00:00 snap-1.img.lz4' },
    'a codec that is a program': { codec: 'sh' },
    'a codec that every object has': { codec: 'constructor' },
    'an unknown cipher': { cipher: 'rot13' },
    'an unknown layout': { layout: 'zip' },
    'a partition below nothing': { partition: -1 },
    'a partition with a command': { partition: '1; reboot' },
    'more bytes than numbers can tell': { storedBytes: 1e300 },
    'fewer bytes than none': { plainBytes: -5 },
    'a hash that is a number': { plainSha256: 5 },
    'another hash, and no index': { plainSha256: '0'.repeat(64), index: null },
    'fewer plain bytes': { plainBytes: 512 },
    'fewer stored bytes': { storedBytes: 512 },
    'a checksum that is none': { checksum: { algorithm: 1, type: [], value: {} } },
    'a geometry with a command': { geometry: { ...GEOMETRY, made: { blocks: '1; reboot' } } },
    'a geometry with an option': { geometry: { ...GEOMETRY, made: { checksum: '--version' } } },
    'a geometry of lists': { geometry: { ...GEOMETRY, made: [1] } },
    'content of less than nothing': { contentBytes: -1 },
    'an index that is none': { index: 'x' },
    'an index that is not there': { index: { key: 'nowhere', etag: '', bytes: 1 } },
  }),
  'less than no data': (it) => ({ ...it, snapshot: { ...it.snapshot, dataBytes: -1 } }),
};

function withObject(changes: Record<string, object>): Record<string, (manifest: Json) => Json> {
  return Object.fromEntries(
    Object.entries(changes).map(([name, change]) => [
      name,
      (it: Json) => ({ ...it, objects: [{ ...it.objects[0], ...change }] }),
    ]),
  );
}

const lines = (...content: object[]): Buffer =>
  zstdCompressSync(content.map((line) => `${JSON.stringify(line)}\n`).join(''));

const HEAD = { format: 1, snapshot: 'snap-1', bytes: 2 ** 30, blockBytes: 524_288 };
const ALL = { blocks: [0, 2048], is: 'absent' };

const INDEXES: Record<string, () => Buffer> = {
  nothing: () => Buffer.alloc(0),
  noise: () => randomBytes(1000),
  'no lines': () => zstdCompressSync(''),
  'no JSON': () => zstdCompressSync('{\n'),
  'a line cut short': () => zstdCompressSync(JSON.stringify(HEAD)),
  'a bomb': () => zstdCompressSync(Buffer.alloc(2 ** 30 + 1)),
  'another format': () => lines({ ...HEAD, format: 9 }, ALL),
  'blocks of nothing': () => lines({ ...HEAD, blockBytes: 0 }, ALL),
  'blocks of less': () => lines({ ...HEAD, blockBytes: -1 }, ALL),
  'more blocks than any volume': () => lines({ ...HEAD, bytes: 2 ** 52 }, ALL),
  'blocks out of order': () => lines(HEAD, { blocks: [5, 9], is: 'absent' }),
  'blocks beyond the end': () => lines(HEAD, { blocks: [0, 2 ** 40], is: 'absent' }),
  'blocks that are missing': () => lines(HEAD, { blocks: [0, 5], is: 'absent' }),
  'an unknown kind': () => lines(HEAD, { blocks: [0, 2048], is: 'secret' }),
  'a hash that is none': () => lines(HEAD, { blocks: [0, 1], is: 'data', sha256: 'x' }),
  'a hash for many': () => lines(HEAD, { blocks: [0, 2048], is: 'data', sha256: 'x' }),
  'only absent blocks': () => lines(HEAD, ALL),
};

test('hostile manifests and indexes are refused, and leave nothing behind', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--dd', '--source', 'direct', '--validate'])).code, 0);
  const into = join(lab.directory, 'restored');
  mkdirSync(into);
  const file = join(into, 'disk.img');
  const restore = async (what: string) => {
    const done = await runCli(lab.env, ['restore', '--bucket', BUCKET, snapshotId, '--to-file', file]);
    const said = done.stdout + done.stderr;
    assert.ok([1, 10, 12].includes(done.code ?? -1), `${what}: exit ${done.code}: ${said}`);
    assert.doesNotMatch(said, /BUG|TypeError|RangeError|\n {4}at /, what);
    assert.deepEqual(readdirSync(into), [], what);
  };
  const manifestKey = await keyEnding(lab, '.manifest.json');
  const manifest = await bytesOf(lab, manifestKey);
  for (const [name, change] of oneIn(3, Object.entries(MANIFESTS))) {
    const changed = change(JSON.parse(manifest.toString()));
    const isText = typeof changed === 'string' || Buffer.isBuffer(changed);
    await replaceObject(lab, manifestKey, Buffer.from(isText ? changed : JSON.stringify(changed)));
    await restore(`manifest, ${name}`);
  }
  await replaceObject(lab, manifestKey, manifest);
  const indexKey = await keyEnding(lab, '.index.zst');
  const index = await bytesOf(lab, indexKey);
  for (const [name, make] of oneIn(3, Object.entries(INDEXES))) {
    await replaceObject(lab, indexKey, make());
    await restore(`index, ${name}`);
  }
  const without = join(lab.directory, 'without.img');
  const all = await runCli(lab.env, ['restore', '--bucket', BUCKET, snapshotId, '--to-file', without, '--no-index']);
  assert.equal(all.code, 0, all.stdout + all.stderr);
  await replaceObject(lab, indexKey, index);
  const done = await runCli(lab.env, ['restore', '--bucket', BUCKET, snapshotId, '--to-file', file]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.ok(existsSync(file));
});
