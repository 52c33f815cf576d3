/**
 * Readers of stored data refuse damaged input, and never crash or hang. SNAP_TO_S3_FUZZ_SECONDS is how long each reader
 * is tested (default: 3 seconds).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { BlockIndexWriter } from '../../src/archive/block-index.ts';
import { readImageIndex } from '../../src/archive/block-table.ts';
import { ByteStream } from '../../src/archive/byte-stream.ts';
import { decodeManifest } from '../../src/archive/decode-manifest.ts';
import {
  damagedIndex,
  decodeIndexLine,
  encodeEnd,
  encodeHeader,
  encodeIndexed,
  encodePlace,
} from '../../src/archive/file-index.ts';
import { IndexOrder } from '../../src/archive/index-order.ts';
import { encodeManifest, MANIFEST_FORMAT, type Manifest } from '../../src/archive/manifest.ts';
import { TarError } from '../../src/archive/tar/tar-member.ts';
import { readMembers } from '../../src/archive/tar/tar-reader.ts';
import { encodeMember, type NewMember, paddingAfter, TAR_END } from '../../src/archive/tar/tar-writer.ts';
import { SnapError } from '../../src/errors.ts';
import { PieceCutter } from '../../src/operations/reading/index/piece-cutter.ts';
import { MemberRules } from '../../src/streams/tar/member-rules.ts';
import { seededIntegers } from '../support/sampled.ts';

const SECONDS = Number(process.env['SNAP_TO_S3_FUZZ_SECONDS'] ?? 3);

const integer = seededIntegers();

const randomBytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => integer(0, 256)));

/** Returns a copy in which random bytes are changed, removed or repeated. */
function damaged(good: Buffer): Buffer {
  let bytes = Buffer.from(good);
  for (let count = integer(1, 6); count > 0; count--) {
    const at = integer(0, bytes.length);
    const length = Math.min(integer(1, 40), bytes.length - at);
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at + length)];
    const some = bytes.subarray(at, at + length);
    const ways = [
      () => Buffer.concat([before, randomBytes(length), after]),
      () => Buffer.concat([before, Buffer.from(String(2 ** integer(0, 47))), after]),
      () => Buffer.concat([before, some, some, after]),
      () => Buffer.concat([before, after]),
      () => Buffer.concat([before, Buffer.alloc(length, integer(0, 256)), after]),
    ];
    bytes = ways[integer(0, ways.length)]?.() ?? bytes;
    if (bytes.length === 0) return Buffer.from('x');
  }
  return bytes;
}

/** Corrects the checksums of damaged headers, so that the code that runs after the checksum test is reached. */
function mended(tar: Buffer): Buffer {
  for (let at = 0; at + 512 <= tar.length; at += 512) {
    const header = tar.subarray(at, at + 512);
    if (header.toString('latin1', 257, 262) !== 'ustar') continue;
    header.fill(0x20, 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return tar;
}

function fuzz(name: string, good: Buffer, read: (bytes: Buffer) => unknown, mend = (bytes: Buffer) => bytes): void {
  test(`${name}: damaged input is refused`, async (t) => {
    await read(good);
    const end = performance.now() + SECONDS * 1000;
    let [tries, refused] = [0, 0];
    while (performance.now() < end) {
      const bytes = mend(damaged(good));
      tries++;
      try {
        await read(bytes);
      } catch (error) {
        refused++;
        const isRefusal =
          error instanceof TarError || (error instanceof SnapError && ['MANIFEST', 'DIFFERS'].includes(error.code));
        assert.ok(isRefusal, `${String(error)}: ${bytes.toString('base64')}`);
      }
    }
    t.diagnostic(`${tries} inputs, ${refused} refused`);
    assert.ok(refused > 0);
  });
}

const MEMBER: NewMember = {
  path: Buffer.from('./file'),
  type: 'file',
  size: 1000n,
  mode: 0o4644,
  uid: 1000,
  gid: 4_000_000_000,
  mtime: -1_500_000_000n,
  target: Buffer.alloc(0),
  device: { major: 1, minor: 2 },
  xattrs: new Map([['user.x', randomBytes(50)]]),
  rights: { accessAcl: 'user::rw-\n' },
  isSparse: false,
  segments: [{ offset: 0n, length: 1000 }],
};

const SPARSE: NewMember = {
  ...MEMBER,
  path: Buffer.from('./sparse'),
  size: 100_000n,
  isSparse: true,
  segments: [
    { offset: 4096n, length: 300 },
    { offset: 99_000n, length: 1000 },
  ],
};

const tarOf = (...members: NewMember[]): Buffer =>
  Buffer.concat([
    ...members.flatMap((member) => [
      encodeMember(member),
      Buffer.alloc(
        member.segments.reduce((sum, { length }) => sum + length, 0),
        7,
      ),
      paddingAfter(member),
    ]),
    TAR_END,
  ]);

const TAR = tarOf(
  { ...MEMBER, path: Buffer.from('./'), type: 'directory', segments: [] },
  MEMBER,
  SPARSE,
  { ...MEMBER, path: Buffer.from('./link'), type: 'symlink', target: Buffer.from('/etc'), segments: [] },
  { ...MEMBER, path: Buffer.from('./hard'), type: 'hardlink', target: Buffer.from('./file'), segments: [] },
);

function readTar(bytes: Buffer): void {
  let at = 0;
  const stream = new ByteStream(() => {
    const chunk = bytes.subarray(at, at + 700);
    at += chunk.length;
    return chunk;
  });
  const rules = new MemberRules({ paths: null, isPrivileged: false, isCaseInsensitive: true, ownNames: [] });
  for (const member of readMembers(stream)) {
    const decision = rules.decide(member);
    if (decision.what === 'take') {
      assert.ok(!decision.member.path.includes('/../') && decision.member.path.toString().startsWith('./'));
      encodeMember(decision.member);
    }
    if (member.type === 'file') stream.skip(member.segments.reduce((sum, { length }) => sum + length, 0));
  }
}

fuzz('the tar reader', TAR, readTar);
fuzz('the tar reader, with correct checksums', TAR, readTar, mended);

const MANIFEST = {
  format: MANIFEST_FORMAT,
  snapshot: { id: 'snap-1', description: 'words', sizeGiB: 1, tags: { a: 'b' } },
  disk: { bytes: 1, sectorBytes: 512, table: 'none', partitionTable: null, bootCode: null },
  objects: [
    {
      key: 'vol-1/2017-01-01T00:00:00+00:00 snap-1.img.lz4',
      partition: null,
      layout: 'image',
      codec: 'lz4',
      cipher: 'none',
      plainBytes: 5,
      storedBytes: 7,
      plainSha256: null,
      index: { key: 'x', etag: 'y', bytes: 1 },
      checksum: null,
    },
  ],
  recorded: [],
} as unknown as Manifest;

fuzz('the manifest reader', encodeManifest(MANIFEST), (bytes) => void decodeManifest(bytes, 'key', 'snap-1'));

const never = new AbortController().signal;
const writer = new BlockIndexWriter({ snapshot: 'snap-1', bytes: 50 * 524_288, blockBytes: 524_288 });
writer.stored(3);
for (const index of [5, 6, 9, 40]) writer.block(index, index === 6 ? null : randomBytes(32).toString('base64'));
const INDEX = await writer.finish();

fuzz('the index reader', INDEX, (bytes) => readImageIndex(bytes, 'key', never));
fuzz('the index reader, with valid compression', zstdDecompressSync(INDEX), (bytes) =>
  readImageIndex(zstdCompressSync(bytes), 'key', never),
);

const DATA = { bytes: 1000, sha256: '0123456789abcdef'.repeat(4), mapSha256: null };
const SPARSE_DATA = { ...DATA, mapSha256: DATA.sha256 };

const FILE_INDEX = Buffer.from(
  [
    encodeHeader({ snapshot: 'snap-1', partition: 1 }),
    encodeIndexed({ ...MEMBER, data: DATA, span: { from: 0, to: 4096 } }),
    encodeIndexed({ ...SPARSE, path: Buffer.from([0xff, 0x0a]), data: SPARSE_DATA, span: { from: 4096, to: 8192 } }),
    ...[0, 4096, 9000].map((plain) => encodePlace({ plain, stored: plain + 7 })),
    encodeEnd({ members: 2, bytes: 9000 }),
  ].join(''),
);

/** Reads an index, and checks that the ranges cut from an accepted one are neither empty nor negative. */
function readFileIndex(bytes: Buffer): void {
  const order = new IndexOrder('key', { snapshot: 'snap-1', partition: 1, plainBytes: 9000 });
  const cutter = new PieceCutter();
  const lines = bytes.toString('utf8').split('\n');
  if (lines.pop() !== '') throw damagedIndex('key', 'it is cut short');
  for (const text of lines) {
    const line = decodeIndexLine(text, 'key');
    order.take(line);
    if (line.is === 'member') cutter.range(line.member.span);
    if (line.is === 'piece') cutter.piece(line.place);
  }
  order.finish();
  const found = cutter.finish();
  assert.ok(found?.extents.every(({ from, to }) => from < to) ?? true);
  assert.ok(found?.cuts.every(({ skip, take }) => skip >= 0 && take > 0) ?? true);
}

fuzz('the reader of indexes of tars', FILE_INDEX, readFileIndex);

test('written data is read back unchanged', () => {
  for (const member of [MEMBER, SPARSE, { ...MEMBER, path: Buffer.from([0x2e, 0x2f, 0xff, 0x0a]) }]) {
    const bytes = tarOf(member);
    const stream = new ByteStream(() => Buffer.from(bytes));
    const { value: read } = readMembers(stream).next();
    const { hasFraction, ...same } = read ?? { hasFraction: false };
    assert.equal(hasFraction, true);
    assert.deepEqual(same, member);
  }
});
