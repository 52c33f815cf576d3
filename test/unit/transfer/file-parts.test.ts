/** Reads a file into parts: every byte once, in order, in bounded memory. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MiB } from '../../../src/lib/units.ts';
import { readFileParts } from '../../../src/transfer/file-parts.ts';
import type { Part } from '../../../src/transfer/part-reader.ts';
import { temporaryDirectory } from '../../support/lab.ts';

const PART = 8 * MiB;

for (const length of [0, 1, PART - 1, PART, PART + 1, 3 * PART]) {
  test(`a file of ${length} bytes`, async (t) => {
    const file = join(temporaryDirectory(t), 'file');
    const content = randomBytes(length);
    writeFileSync(file, content);
    const found: Buffer[] = [];
    const options = { expectedBytes: length, held: 2, signal: AbortSignal.timeout(60_000) };
    for await (const { number, bytes, release } of readFileParts(file, options)) {
      assert.equal(number, found.length + 1);
      found.push(Buffer.from(bytes));
      release();
    }
    assert.ok(Buffer.concat(found).equals(content));
    assert.deepEqual(
      found.map((part) => part.length),
      Array.from({ length: Math.ceil(length / PART) }, (_, at) => Math.min(PART, length - at * PART)),
    );
  });
}

test('the number of parts in memory is limited', async (t) => {
  const file = join(temporaryDirectory(t), 'file');
  writeFileSync(file, Buffer.alloc(3 * PART));
  const stopped = new AbortController();
  const parts = readFileParts(file, { expectedBytes: 0, held: 2, signal: stopped.signal });
  const held: Part[] = [];
  for (let count = 0; count < 2; count++) held.push((await parts.next()).value as Part);
  const third = parts.next();
  assert.equal(await Promise.race([third, Promise.resolve('waits')]), 'waits');
  held[0]?.release();
  assert.equal((await third).value?.bytes.buffer, held[0]?.bytes.buffer);
  const fourth = parts.next();
  stopped.abort(new Error('enough'));
  await assert.rejects(fourth, /enough/);
});
