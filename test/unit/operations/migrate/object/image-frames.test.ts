/** The frames of an image that is mostly zeros. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { BlockIndexWriter } from '../../../../../src/archive/block-index.ts';
import type { CodecName } from '../../../../../src/archive/codec.ts';
import { FrameCompressor } from '../../../../../src/indexing/frame-compressor.ts';
import { ImageFrames } from '../../../../../src/operations/migrate/object/image-frames.ts';
import type { BlockImage } from '../../../../../src/transfer/block-image.ts';

const MiB = 2 ** 20;
const START = { plainBytes: 0, storedBytes: 0, parts: 0 };

/** An image without any written block, except those that start at these bytes. */
function image(bytes: number, written: readonly number[]): BlockImage {
  let position = 0;
  return {
    bytes,
    get position() {
      return position;
    },
    async read(buffer) {
      const isData = written.includes(position);
      if (isData) buffer.fill('data');
      position += buffer.length;
      return isData;
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Takes all frames. @returns the places in the index, in MiB of the image. */
async function takeAll(
  disk: BlockImage,
  codec: CodecName,
  options: { isEncrypted: boolean; signal?: AbortSignal },
): Promise<number[]> {
  const index = new BlockIndexWriter({ snapshot: 'snap-1', bytes: disk.bytes, blockBytes: MiB / 2 });
  const onFrame = (plain: number, stored: number) => index.piece(plain, stored);
  const order = { blocks: () => disk, expectedBytes: disk.bytes, frameBytes: 4 * MiB, onFrame, index };
  const content = { kind: 'blocks' as const, ...order };
  await using compressor = new FrameCompressor({ name: codec, level: 1 }, process.env);
  const { signal = new AbortController().signal } = options;
  const frames = new ImageFrames(disk, compressor, START, { content, ...options, signal });
  let bytes = 0;
  for await (const frame of frames.upTo(Number.POSITIVE_INFINITY)) bytes += frame.length;
  assert.deepEqual([frames.plainBytes, frames.storedBytes], [disk.bytes, bytes]);
  const lines = zstdDecompressSync(await index.finish())
    .toString()
    .trim()
    .split('\n');
  return lines.flatMap((line) => {
    const { piece } = JSON.parse(line) as { piece?: { plain: number } };
    return piece ? [piece.plain / MiB] : [];
  });
}

test('each frame with data has a place; a run of zeros has one at its start and every 256 MiB', async () => {
  const disk = image(600 * MiB, [20 * MiB, 24 * MiB, 60 * MiB]);
  assert.deepEqual(await takeAll(disk, 'lz4', { isEncrypted: false }), [0, 20, 24, 28, 60, 64, 256, 512]);
});

test('an encrypted image has no places, because decryption cannot start within a message', async () => {
  assert.deepEqual(await takeAll(image(100 * MiB, [20 * MiB]), 'zstd', { isEncrypted: true }), []);
});

test('other work of the process goes on during a long run of zeros, and can end it', async () => {
  const stop = new AbortController();
  let turns = 0;
  const countTurn = (): void => {
    if (++turns === 10) stop.abort(new Error('enough'));
    if (turns < 1000) setImmediate(countTurn);
  };
  setImmediate(countTurn);
  const disk = image(2 ** 42, []);
  await assert.rejects(takeAll(disk, 'zstd', { isEncrypted: false, signal: stop.signal }), /enough/);
  assert.ok(disk.position < 2 ** 40, `${disk.position} bytes were read`);
});
