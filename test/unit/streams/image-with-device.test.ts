/** An image and a device are compared byte by byte, in whatever chunks their bytes arrive. */
import assert from 'node:assert/strict';
import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteStream } from '../../../src/archive/byte-stream.ts';
import { compareImageWithDevice } from '../../../src/streams/image-with-device.ts';
import { consumeInThreads } from '../../../src/streams/start.ts';
import { closeAll } from '../../../src/transfer/pipes.ts';
import { temporaryDirectory } from '../../support/lab.ts';

/** Delivers the bytes in chunks of these lengths, which repeat. */
function streamOf(bytes: Buffer, lengths: readonly number[]): ByteStream {
  let [at, count] = [0, 0];
  return new ByteStream(() => {
    const chunk = bytes.subarray(at, at + (lengths[count++ % lengths.length] ?? 1));
    at += chunk.length;
    return chunk;
  });
}

const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
const content = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes));

/** The differences between an image that contains `bytes` and a device that contains `onDevice`. */
function found(bytes: Buffer, onDevice: Buffer, chunks: readonly [number[], number[]]): string[] {
  const image = streamOf(bytes, chunks[0]);
  const { differences, contentBytes } = compareImageWithDevice(image, streamOf(onDevice, chunks[1]));
  assert.equal(contentBytes, bytes.length, 'the image is read to its end');
  return differences.kept.map(({ detail }) => detail);
}

test('equal bytes have no differences', () => {
  fc.assert(fc.property(content, lengths, lengths, (bytes, a, b) => found(bytes, bytes, [a, b]).length === 0));
});

test('one changed byte is reported with its position', () => {
  const cases = fc.record({ bytes: content, at: fc.nat(), a: lengths, b: lengths });
  fc.assert(
    fc.property(cases, ({ bytes, at, a, b }) => {
      const changed = Buffer.from(bytes);
      const place = at % bytes.length;
      changed[place] = (changed[place] ?? 0) ^ 1;
      assert.deepEqual(found(changed, bytes, [a, b]), [`the first difference is at byte ${place}`]);
    }),
  );
});

test('a shorter and a longer image are distinguished', () => {
  const cases = fc.record({ bytes: content, more: content, a: lengths, b: lengths });
  fc.assert(
    fc.property(cases, ({ bytes, more, a, b }) => {
      const long = Buffer.concat([bytes, more]);
      assert.deepEqual(found(long, bytes, [a, b]), ['the image is longer than the disk']);
      const shorter = `the image ends at byte ${bytes.length}, before the end of the disk`;
      assert.deepEqual(found(bytes, long, [a, b]), [shorter]);
    }),
  );
});

test('a file that ends within a sector is read to its end', async (t) => {
  const file = join(temporaryDirectory(t), 'image');
  writeFileSync(file, Buffer.alloc(1_000_001, 7));
  const descriptor = openSync(file, 'r');
  t.after(() => closeAll([descriptor]));
  const found = await consumeInThreads(descriptor, { kind: 'device', device: file }, new AbortController().signal);
  assert.deepEqual([found.contentBytes, found.differences], [1_000_001, []]);
});
