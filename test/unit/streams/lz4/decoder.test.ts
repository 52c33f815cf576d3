/** Our lz4 decoder returns the same result as the lz4 command for any stream. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { integer, property, assert as propertyHolds, record, uint8Array } from 'fast-check';
import { assembleCoder, CODER } from '../../../../scripts/assemble.ts';
import { frameOf } from '../../../../src/archive/lz4-frame.ts';
import { temporaryDirectory } from '../../../../src/lib/temporary-files.ts';
import { Lz4Coder } from '../../../../src/lz4/coder.ts';
import { fillBlocks } from '../../../../src/streams/lz4/block-filler.ts';
import { BlockRing, ENDED, newBlockRing, READY } from '../../../../src/streams/lz4/block-ring.ts';
import { BlockTaker } from '../../../../src/streams/lz4/block-taker.ts';
import { consumeLz4InThreads } from '../../../../src/streams/start.ts';

const MOST = 2 ** 30;

const NONE = Buffer.alloc(0);

/** The last four bytes of the output of `truncate -s 4G zeros; lz4 zeros`. */
const OF_FOUR_GIB_OF_ZEROS = 0x35b93941;

const lz4 = (argv: readonly string[], input: Buffer) =>
  spawnSync('lz4', ['-q', '-c', ...argv], { input, maxBuffer: MOST });

const compress = (plain: Buffer, ...argv: string[]): Buffer => lz4(['-z', ...argv], plain).stdout;

/** Decodes a stream with the lz4 command. @returns `null` if it fails. */
function byCommand(stored: Buffer): Buffer | null {
  const { status, stdout } = lz4(['-d'], stored);
  return status === 0 ? stdout : null;
}

/** Runs the work of both threads one after the other. The ring has room for streams of at most two blocks. */
function byOurselves(stored: Buffer): Buffer | null {
  const ring = new BlockRing(newBlockRing());
  let at = 0;
  const { isForeign, problem } = fillBlocks(ring, (target) => {
    const length = stored.copy(target, 0, at, at + 100_003);
    at += length;
    return length;
  });
  const taker = new BlockTaker(ring, true);
  const pieces: Buffer[] = [];
  for (let bytes = taker.next(); bytes.length > 0; bytes = taker.next()) pieces.push(Buffer.from(bytes));
  return isForeign || problem !== null || taker.problem !== null ? null : Buffer.concat(pieces);
}

/** Decodes a file with two threads. */
async function inThreads(stored: Buffer) {
  await using directory = temporaryDirectory();
  const file = join(directory.path, 'stored');
  writeFileSync(file, stored);
  const descriptor = openSync(file, 'r');
  try {
    return await consumeLz4InThreads(descriptor, { kind: 'bytes' }, false, new AbortController().signal);
  } finally {
    closeSync(descriptor);
  }
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const repeated = (pattern: Buffer, bytes: number): Buffer => Buffer.alloc(bytes, pattern);

/** Random bytes between repetitions at all small distances, where a decoder copies bytes that it has just written. */
function motley(bytes: number): Buffer {
  const pieces: Buffer[] = [];
  for (let total = 0, turn = 0; total < bytes; turn++) {
    const piece = Buffer.concat([
      randomBytes(1 + ((turn * 7) % 400)),
      repeated(randomBytes(1 + (turn % 40)), 5 + ((turn * 131) % 1500)),
    ]);
    pieces.push(piece);
    total += piece.length;
  }
  return Buffer.concat(pieces).subarray(0, bytes);
}

const PLAIN: Record<string, Buffer> = {
  nothing: Buffer.alloc(0),
  'one byte': Buffer.from('x'),
  'twelve bytes': Buffer.from('aaaaaaaaaaaa'),
  zeros: Buffer.alloc(5_000_000),
  random: randomBytes(4_200_000),
  'small distances': motley(9_000_000),
  'program text': readFileSync(process.execPath).subarray(20_000_000, 31_000_000),
};

for (const [name, plain] of Object.entries(PLAIN)) {
  for (const argv of [['-1'], ['-9', '-B4', '--no-frame-crc']]) {
    test(`${name}, lz4 ${argv.join(' ')}`, async () => {
      const stored = compress(plain, ...argv);
      const { findings, problem } = await inThreads(stored);
      assert.deepEqual([problem, findings.plainBytes], [null, plain.length]);
      assert.equal(findings.plainSha256, sha256(plain));
    });
  }
}

test('flipped bits and truncation: the decoder refuses what the lz4 command refuses, and never returns other bytes', () => {
  const plain = Buffer.concat([motley(30_000), PLAIN['program text']?.subarray(0, 30_000) ?? Buffer.alloc(0)]);
  let refused = 0;
  for (const [index, argv] of [['-1'], ['-9', '--no-frame-crc'], ['-1', '--no-frame-crc']].entries()) {
    const stored = compress(plain, ...argv);
    for (let turn = 0; turn < 60; turn++) {
      const other = Buffer.from(stored);
      const at = 7 + ((turn * 7919 + index) % (stored.length - 7));
      other.writeUInt8(other.readUInt8(at) ^ (1 << (turn % 8)), at);
      const tried = turn % 4 === 0 ? stored.subarray(0, at) : other;
      const ours = byOurselves(tried);
      if (ours) assert.ok(byCommand(tried)?.equals(ours), `${argv.join(' ')}, byte ${at}`);
      else refused++;
    }
  }
  assert.ok(refused >= 60, `${refused} refused`);
});

test('a whole stream, and data after it', () => {
  const plain = motley(50_000);
  const stored = compress(plain);
  assert.ok(byOurselves(stored)?.equals(plain));
  assert.equal(byOurselves(Buffer.concat([stored, Buffer.from('x')])), null);
  const length = stored.readUInt32LE(7);
  const wrong = Buffer.from(stored);
  wrong.writeUInt32LE(5_000_000, 7);
  assert.equal(byOurselves(wrong), null, 'a block that is larger than a block');
  wrong.writeUInt32LE(length, 7);
  wrong.writeUInt8(wrong.readUInt8(wrong.length - 1) ^ 1, wrong.length - 1);
  assert.equal(byOurselves(wrong), null, 'another checksum');
});

test('the checksum of four GiB, which overflows a counter of 32 bits', () => {
  const ring = new BlockRing(newBlockRing());
  const taker = new BlockTaker(ring, true);
  const blocks = 1024;
  for (let block = 0; block < blocks; block++) {
    ring.plainRoom(block, 2 ** 32 / blocks);
    ring.put(block, READY);
    taker.next();
  }
  ring.putFrameEnd(blocks, OF_FOUR_GIB_OF_ZEROS);
  ring.put(blocks + 1, ENDED);
  assert.deepEqual([taker.next().length, taker.problem], [0, null]);
});

test('consecutive frames, as in images from direct reads', async () => {
  const parts = [motley(9_000_003), Buffer.alloc(5_000_000), motley(7)];
  const [first, second, third] = [
    compress(parts[0] ?? NONE, '-B4'),
    compress(parts[1] ?? NONE, '--no-frame-crc'),
    compress(parts[2] ?? NONE),
  ] as [Buffer, Buffer, Buffer];
  const { findings, problem, isForeign } = await inThreads(Buffer.concat([first, second, third]));
  assert.deepEqual([problem, isForeign], [null, false]);
  assert.equal(findings.plainSha256, sha256(Buffer.concat(parts)));
  const at = first.length - 1;
  first.writeUInt8(first.readUInt8(at) ^ 1, at);
  assert.match((await inThreads(Buffer.concat([first, second]))).problem ?? '', /checksum/);
  for (const other of [compress(NONE, '-BX'), Buffer.from('what is this')])
    assert.equal((await inThreads(Buffer.concat([second, other]))).isForeign, true);
});

test('an invalid block ends the stream there, however much follows', async () => {
  const stored = compress(motley(40_000_000), '-9');
  // The second block claims more literals than it has.
  const second = 7 + 4 + (stored.readUInt32LE(7) & 0x7fffffff);
  stored.fill(0xff, second + 4, second + 4 + 64);
  const { findings, problem } = await inThreads(stored);
  assert.equal(problem, 'a block cannot be decoded');
  assert.equal(findings.plainBytes, 4_194_304);
});

test('truncation is detected at any position', async () => {
  const stored = compress(motley(30_000_000));
  for (const share of [0.1, 0.35, 0.6, 0.99]) {
    const { findings, problem } = await inThreads(stored.subarray(0, Math.floor(stored.length * share)));
    assert.match(problem ?? '', /ends in the middle/);
    assert.ok(findings.plainBytes < 30_000_000);
  }
});

test('a truncated stream is not reported as a damaged block, whatever the timing', () => {
  const stored = compress(randomBytes(100_000));
  for (const length of [stored.length - 50_000, stored.length - 2]) {
    const ring = new BlockRing(newBlockRing());
    const taker = new BlockTaker(ring, true);
    const put = ring.put.bind(ring);
    ring.put = (block, state) => {
      put(block, state);
      if (state >= READY) taker.next();
    };
    let at = 0;
    const { problem } = fillBlocks(ring, (target) => {
      const copied = stored.copy(target, 0, at, Math.min(length, at + target.length));
      at += copied;
      return copied;
    });
    assert.deepEqual([problem, taker.problem], ['it ends in the middle of a block', null]);
  }
});

test('frames with other options are left to the lz4 command', () => {
  // The input needs more than one block: a single block is independent of others even with `-BD`.
  const plain = Buffer.alloc(5_000_000, 'abc');
  for (const argv of ['-BD', '-BX', '-l']) assert.equal(frameOf(compress(plain, argv).subarray(0, 7)), null, argv);
  assert.deepEqual(frameOf(compress(plain).subarray(0, 7)), { blockBytes: 4_194_304, hasChecksum: true });
  const wrong = compress(plain).subarray(0, 7);
  wrong.writeUInt8(wrong.readUInt8(6) ^ 1, 6);
  assert.equal(frameOf(wrong), null, 'another checksum of the header');
});

const [FROM, TO] = [65_536, 131_072];

const memory = new WebAssembly.Memory({ initial: 3, maximum: 3, shared: true });
const decoder = new Lz4Coder(memory);
const bytes = Buffer.from(memory.buffer);
const untouched = Buffer.alloc(bytes.length, 0xaa);

/** Decodes a block from `FROM` to `TO`, and checks that nothing else in memory has changed. */
function decodeWithin(stored: Uint8Array, room: number): Buffer | null {
  bytes.fill(0xaa);
  bytes.set(stored, FROM);
  const length = decoder.decode(FROM, stored.length, TO, room);
  assert.ok(length === null || length <= room);
  assert.ok(bytes.subarray(0, FROM).equals(untouched.subarray(0, FROM)), 'before the block');
  assert.ok(bytes.subarray(TO + room).equals(untouched.subarray(TO + room)), 'behind the room');
  return length === null ? null : Buffer.from(bytes.subarray(TO, TO + length));
}

test('a block that fills its space to the last byte, and spaces that are too small', () => {
  for (let distance = 1; distance <= 70; distance++) {
    const plain = Buffer.concat([repeated(randomBytes(distance), 100 + 3 * distance), randomBytes(5)]);
    const frame = compress(plain, '--no-frame-crc');
    const stored = frame.subarray(11, 11 + (frame.readUInt32LE(7) & 0x7fffffff));
    if (stored.length === plain.length) continue;
    assert.ok(decodeWithin(stored, plain.length)?.equals(plain), `${plain.length} bytes`);
    for (const missing of [1, 2, 17, 40, 64]) assert.equal(decodeWithin(stored, plain.length - missing), null);
  }
});

test('a block that fills its space ends with five literals', () => {
  const stored = Buffer.from([0x10, 0x61, 1, 0, 0x10, 0x62]);
  assert.equal(decodeWithin(stored, 6), null);
  assert.equal(decodeWithin(stored, 10)?.toString(), 'aaaaab');
});

test('nothing is written beyond the space of a block', () => {
  // These values make tokens with long runs and small distances, which random bytes rarely contain.
  const block = uint8Array({ minLength: 1, maxLength: 300, max: 255 }).map((values) =>
    values.map((value, at) => (at % 5 === 2 ? value % 24 : at % 7 === 3 ? 0 : value)),
  );
  const inputs = record({ block, room: integer({ min: 0, max: 2000 }) });
  propertyHolds(
    property(inputs, ({ block: stored, room }) => {
      decodeWithin(stored, room);
    }),
    { numRuns: 500 },
  );
});

test('the assembled program matches its source', async () => {
  assert.ok(readFileSync(CODER).equals(await assembleCoder()), 'run scripts/assemble.ts');
});
