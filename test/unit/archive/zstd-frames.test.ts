/** Streams of zstd frames are decompressed as `zstd -d` does, and refused if `zstd -d` refuses them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import { DamagedFrames, decompressFrames } from '../../../src/archive/zstd-frames.ts';
import { through } from '../../support/tamper.ts';

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function decompress(stored: Buffer, size: number): Promise<Buffer> {
  const plain: Buffer[] = [];
  for await (const chunk of decompressFrames(inChunks(stored, size))) plain.push(chunk);
  return Buffer.concat(plain);
}

/** Small chunks split the fields of headers; large ones contain several frames. */
const CHUNK_SIZES = [1, 100, 2 ** 24];

const LINES = Buffer.from(
  Array.from({ length: 200 }, (_, at) => `{"path":"./${at}","sha256":"${at ** 3}"}\n`).join(''),
);
const NOISE = randomBytes(500);
const frame = (plain: Buffer): Buffer => zstdCompressSync(plain);
const withChecksum = zstdCompressSync(LINES, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
const skippable = Buffer.concat([Buffer.from('5f2a4d1805000000', 'hex'), Buffer.from('12345')]);
const compressing = (options: string[], plain: Buffer) => through(['zstd', ...options, '-q', '-c', '-'], plain);

/** A frame without content size and checksum: its window, and a last block of one uncompressed byte. */
const frameOfOneByte = (windowLog: number): Buffer =>
  Buffer.concat([
    Buffer.from('28b52ffd00', 'hex'),
    Buffer.from([(windowLog - 10) << 3]),
    Buffer.from('09000041', 'hex'),
  ]);

const GOOD: Record<string, { plain: Buffer; stored: Buffer | Promise<Buffer> }> = {
  'one frame': { plain: LINES, stored: frame(LINES) },
  'several frames': { plain: Buffer.concat([LINES, NOISE]), stored: Buffer.concat([frame(LINES), frame(NOISE)]) },
  'an empty frame': { plain: Buffer.alloc(0), stored: frame(Buffer.alloc(0)) },
  'a repeated byte': { plain: Buffer.alloc(300_000), stored: frame(Buffer.alloc(300_000)) },
  'a checksum': { plain: LINES, stored: withChecksum },
  'skippable frames': { plain: LINES, stored: Buffer.concat([skippable, frame(LINES), skippable]) },
  'a frame of unknown length, written by zstd': { plain: LINES, stored: compressing(['-3'], LINES) },
  'a frame without a checksum, written by zstd': { plain: LINES, stored: compressing(['--no-check'], LINES) },
  'a window of 128 MiB': { plain: Buffer.from('A'), stored: frameOfOneByte(27) },
};

for (const [name, { plain, stored }] of Object.entries(GOOD)) {
  test(name, async () => {
    const bytes = await stored;
    for (const size of CHUNK_SIZES) assert.ok((await decompress(bytes, size)).equals(plain), `in chunks of ${size}`);
    assert.ok((await through(['zstd', '-d', '-q', '-c', '-'], bytes)).equals(plain));
  });
}

const changedAt = (bytes: Buffer, at: number): Buffer => {
  const changed = Buffer.from(bytes);
  changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
  return changed;
};

const BAD: Record<string, Buffer | Promise<Buffer>> = {
  nothing: Buffer.alloc(0),
  noise: randomBytes(1000),
  'a changed checksum': changedAt(withChecksum, withChecksum.length - 1),
  'a changed byte': changedAt(withChecksum, withChecksum.length - 100),
  'a last frame without its last byte': Buffer.concat([frame(NOISE), frame(LINES).subarray(0, -1)]),
  'a frame without its checksum': withChecksum.subarray(0, -4),
  'the beginning of another frame': Buffer.concat([frame(LINES), Buffer.from('28b5', 'hex')]),
  'other data after the frames': Buffer.concat([frame(LINES), randomBytes(20)]),
  'zeros after the frames': Buffer.concat([frame(LINES), Buffer.alloc(20)]),
  'a window of 256 MiB': frameOfOneByte(28),
};

for (const [name, stored] of Object.entries(BAD)) {
  test(`damaged: ${name}`, async () => {
    const bytes = await stored;
    for (const size of CHUNK_SIZES)
      await assert.rejects(decompress(bytes, size), DamagedFrames, `in chunks of ${size}`);
    await assert.rejects(through(['zstd', '-d', '-q', '-c', '-'], bytes));
  });
}

test('an error while reading the stored bytes is not reported as damage', async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield frame(LINES).subarray(0, 100);
    throw new RangeError('the disk is broken');
  }
  await assert.rejects(async () => {
    for await (const _chunk of decompressFrames(broken()));
  }, RangeError);
});

test('a reader that stops early ends the stored bytes', async () => {
  const ended = Promise.withResolvers<void>();
  async function* stored(): AsyncGenerator<Buffer> {
    try {
      for (;;) yield frame(LINES);
    } finally {
      ended.resolve();
    }
  }
  for await (const _chunk of decompressFrames(stored())) break;
  await ended.promise;
});
