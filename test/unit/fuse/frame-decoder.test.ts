import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { FRAME_END, HEADER_BYTES } from '../../../src/archive/lz4-frame.ts';
import { FrameDecoder } from '../../../src/fuse/frame-decoder.ts';
import { seededRandom } from '../../support/sampled.ts';

const MiB = 2 ** 20;

const encodeLz4 = (plain: Buffer, level: number): Buffer =>
  spawnSync('lz4', [`-${level}`, '-z', '-c', '-q', '-'], { input: plain, maxBuffer: 16 * MiB }).stdout;

const PLAIN = [
  Buffer.alloc(4 * MiB, 'some text that repeats '),
  randomBytes(MiB / 2),
  Buffer.concat([randomBytes(100_000), Buffer.alloc(MiB - 100_000)]),
  Buffer.from('short'),
];

test('frames of the lz4 command and of zstd are decoded', async () => {
  const decoder = new FrameDecoder();
  for (const plain of PLAIN) {
    for (const level of [1, 9]) {
      const stored = encodeLz4(plain, level);
      const asFrame = await decoder.decode(stored, { codec: 'lz4', areBlocks: false }, plain.length);
      assert.ok(asFrame.equals(plain));
      const blocks = stored.subarray(HEADER_BYTES, stored.length - 2 * FRAME_END.length);
      assert.ok((await decoder.decode(blocks, { codec: 'lz4', areBlocks: true }, plain.length)).equals(plain));
    }
    const zstd = { codec: 'zstd', areBlocks: false } as const;
    assert.ok((await decoder.decode(zstdCompressSync(plain), zstd, plain.length)).equals(plain));
  }
});

const stored = PLAIN.flatMap((plain) => [
  { codec: 'lz4' as const, plain, bytes: encodeLz4(plain, 1) },
  { codec: 'zstd' as const, plain, bytes: zstdCompressSync(plain) },
]);

test('truncated and foreign frames, and frames of another length, are refused', async () => {
  const decoder = new FrameDecoder();
  for (const { codec, plain, bytes } of stored) {
    const frame = { codec, areBlocks: false };
    for (const length of [plain.length - 1, plain.length + 1])
      await assert.rejects(decoder.decode(bytes, frame, length));
    for (const end of [0, 3, 7, bytes.length >> 1])
      await assert.rejects(decoder.decode(bytes.subarray(0, end), frame, plain.length));
    await assert.rejects(decoder.decode(randomBytes(bytes.length), frame, plain.length));
  }
});

test('a damaged frame is refused, or decodes to as many bytes', async () => {
  const decoder = new FrameDecoder();
  const random = seededRandom();
  for (const { codec, plain, bytes } of stored) {
    for (let round = 0; round < 50; round++) {
      const damaged = Buffer.from(bytes);
      const at = Math.floor(random() * damaged.length);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (round % 8));
      const decoded = await decoder.decode(damaged, { codec, areBlocks: false }, plain.length).catch(() => null);
      if (decoded) assert.equal(decoded.length, plain.length);
    }
  }
});
