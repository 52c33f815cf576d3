/** The tar reader with real tars of every format, and with arbitrary bytes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteStream } from '../../../../src/archive/byte-stream.ts';
import { TarError } from '../../../../src/archive/tar/tar-member.ts';
import { readMembers } from '../../../../src/archive/tar/tar-reader.ts';
import { tooLong } from '../../../../src/indexing/index-tar.ts';
import { temporaryDirectory } from '../../../support/lab.ts';
import { seededIntegers } from '../../../support/sampled.ts';

const integer = seededIntegers();

/** Delivers a buffer in chunks of random sizes. */
function streamOf(bytes: Buffer, most = 7001): ByteStream {
  let at = 0;
  return new ByteStream(() => {
    const piece = Buffer.from(bytes.subarray(at, at + integer(1, most)));
    at += piece.length;
    return piece;
  });
}

interface Read {
  path: string;
  type: string;
  size: number;
  mtime: bigint;
  target: string;
  content: Buffer;
}

function readAll(bytes: Buffer): Read[] {
  const stream = streamOf(bytes);
  const members: Read[] = [];
  for (const { path, type, mtime, target, segments, ...member } of readMembers(stream)) {
    const size = Number(member.size);
    const content = Buffer.alloc(Math.min(size, 2 ** 26));
    if (type === 'file') for (const { offset, length } of segments) stream.take(length).copy(content, Number(offset));
    members.push({ path: path.toString(), type, size, mtime, target: target.toString(), content });
  }
  return members;
}

for (const format of ['v7', 'ustar', 'oldgnu', 'gnu', 'pax']) {
  test(`tar --format=${format}`, (t) => {
    const directory = temporaryDirectory(t);
    const long = format === 'v7' || format === 'ustar' ? 'n'.repeat(90) : 'long'.repeat(60);
    writeFileSync(join(directory, 'file'), 'content');
    writeFileSync(join(directory, 'empty'), '');
    writeFileSync(join(directory, long), 'long');
    writeFileSync(join(directory, 'block'), 'b'.repeat(512));
    execFileSync('ln', [join(directory, 'file'), join(directory, 'link')]);
    execFileSync('ln', ['-s', long, join(directory, 'symlink')]);
    execFileSync('touch', ['--date', '@1500000000.123456789', join(directory, 'file')]);
    const tar = execFileSync('tar', ['-C', directory, `--format=${format}`, '--sort=name', '-c', '.']);
    const members = readAll(tar);
    assert.deepEqual(
      members.map(({ path, type, size }) => [path, type, size]),
      [
        ['./', 'directory', 0],
        ['./block', 'file', 512],
        ['./empty', 'file', 0],
        ['./file', 'file', 7],
        ['./link', 'hardlink', 0],
        ...[
          [`./${long}`, 'file', 4],
          ['./symlink', 'symlink', 0],
        ].sort(),
      ],
    );
    const file = members.find(({ path }) => path === './file');
    assert.equal(file?.content.toString(), 'content');
    assert.equal(file?.mtime, format === 'pax' ? 1_500_000_000_123_456_789n : 1_500_000_000_000_000_000n);
    assert.equal(members.find(({ path }) => path === './symlink')?.target, long);
  });
}

test('holes of any pattern', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'sparse');
  const pattern = fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 1, max: 9000 })), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(pattern, fc.integer({ min: 0, max: 2_000_000 }), (pieces, size) => {
      writeFileSync(path, '');
      truncateSync(path, size);
      for (const [page, length] of pieces) {
        execFileSync('dd', [`of=${path}`, 'bs=1', `seek=${page * 4096}`, 'conv=notrunc', 'status=none'], {
          input: Buffer.alloc(length, 0x61),
        });
      }
      const tar = execFileSync('tar', ['-C', directory, '--format=pax', '--sparse', '-c', 'sparse'], {
        maxBuffer: 2 ** 26,
      });
      const [member] = readAll(tar);
      assert.ok(member);
      assert.ok(member.content.equals(readFileSync(path)));
    }),
    { numRuns: 25 },
  );
});

test('names, owners and times that exceed the fields of the header', (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'x');
  writeFileSync(path, 'x');
  execFileSync('touch', ['--date', '@-86400.5', path]);
  for (const format of ['gnu', 'pax']) {
    const owners = ['--owner=:4000000001', '--group=:4000000002', '--numeric-owner'];
    const tar = execFileSync('tar', ['-C', directory, `--format=${format}`, ...owners, '-c', 'x']);
    const stream = streamOf(tar);
    for (const member of readMembers(stream)) {
      assert.deepEqual([member.uid, member.gid], [4_000_000_001, 4_000_000_002]);
      assert.equal(member.mtime, format === 'pax' ? -86_400_500_000_000n : -86_401_000_000_000n);
      stream.skip(Number(member.size));
    }
  }
});

test('damage anywhere leads to a TarError or other members, never to a crash or an endless read', (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'sparse'), 'x');
  truncateSync(join(directory, 'sparse'), 100_000);
  writeFileSync(join(directory, 'name'.repeat(50)), 'content');
  const whole = execFileSync('tar', ['-C', directory, '--format=pax', '--sparse', '-c', '.']);
  const place = fc.nat(whole.length - 1);
  fc.assert(
    fc.property(place, fc.nat(255), place, (at, value, length) => {
      const damaged = Buffer.from(whole);
      damaged[at] = value;
      for (const bytes of [damaged, damaged.subarray(0, length)]) {
        try {
          readAll(bytes);
        } catch (error) {
          assert.ok(error instanceof TarError, String(error));
        }
      }
    }),
    { numRuns: 3000 },
  );
});

test('a map of holes without a line end is refused at once, however long its file is', (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'sparse');
  writeFileSync(path, '1'.repeat(2 ** 20));
  truncateSync(path, 2 ** 22);
  const tar = execFileSync('tar', ['-C', directory, '--format=pax', '--sparse', '-c', 'sparse'], {
    maxBuffer: 2 ** 23,
  });
  const map = tar.indexOf('1'.repeat(2048)) - 512;
  const damaged = Buffer.from(tar).fill('1', map, map + 512);
  let read = 0;
  const stream = new ByteStream(() => {
    const piece = damaged.subarray(read, read + 512);
    read += piece.length;
    return piece;
  });
  assert.throws(() => [...readMembers(stream)], /a map of holes is damaged/);
  assert.ok(read <= map + 1024, `${read} bytes`);
});

test('data after the end mark, and a tar without one', (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'x'), 'x');
  const tar = execFileSync('tar', ['-C', directory, '-c', 'x']);
  assert.throws(() => readAll(Buffer.concat([tar, tar])), /data after the end mark/);
  assert.throws(() => readAll(tar.subarray(0, 1024)), /without an end mark/);
  assert.throws(() => readAll(Buffer.alloc(0)), /without an end mark/);
});

test('names that Linux cannot create are reported', () => {
  const path = (...names: string[]) => Buffer.from(`./${names.join('/')}`);
  assert.equal(tooLong(path('a'.repeat(255), 'b'.repeat(255), 'c')), null);
  assert.match(tooLong(path('a', 'b'.repeat(256), 'c')) ?? '', /name of 256 bytes/);
  assert.match(tooLong(path('長'.repeat(86))) ?? '', /name of 258 bytes/);
});

test('many extended headers in a row are limited like a long one', () => {
  const header = (flag: string, size: number): Buffer => {
    const bytes = Buffer.alloc(512);
    bytes.write(size.toString(8).padStart(11, '0'), 124);
    bytes.write(flag, 156);
    bytes.fill(0x20, 148, 156);
    const sum = bytes.reduce((total, byte) => total + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    return bytes;
  };
  const text = 'v'.repeat(16 * 2 ** 20 - 12);
  for (const flag of ['g', 'x', 'L']) {
    const headers = [0, 1, 2, 3, 4].flatMap((name) => [
      header(flag, 16 * 2 ** 20),
      Buffer.from(`16777216 ${name}=${text}\n`),
    ]);
    const tar = Buffer.concat([...headers, header('0', 0), Buffer.alloc(1024)]);
    assert.throws(
      () => [...readMembers(streamOf(tar, 2 ** 20))],
      { message: 'the extended headers are too long' },
      flag,
    );
  }
});
