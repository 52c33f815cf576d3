/** Reads of restored images skip holes only where the index has zeros. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BLOCK_KIND, type BlockTable, HASH_BYTES, newTable } from '../../../../../src/archive/block-table.ts';
import { compareImageWithIndex } from '../../../../../src/operations/drill/compare-restored.ts';
import type { BlockRange } from '../../../../../src/operations/restore/image/image-blocks.ts';
import { ImageBlocks } from '../../../../../src/operations/restore/image/image-blocks.ts';
import { temporaryDirectory } from '../../../../support/lab.ts';

const BLOCK = 512 * 1024;
const COUNT = 4096;
const DATA_AT = 100;

/** An image of 2 GiB with one block of data, and its index. The other blocks are holes. */
function sparseImage(t: TestContext): { path: string; table: BlockTable } {
  const path = join(temporaryDirectory(t), 'image');
  const data = randomBytes(BLOCK);
  writeFileSync(path, '');
  truncateSync(path, COUNT * BLOCK);
  write(path, DATA_AT, data);
  const table = newTable(COUNT * BLOCK, BLOCK);
  table.kinds.fill(BLOCK_KIND.zero);
  table.kinds[DATA_AT] = BLOCK_KIND.data;
  table.hashes.set(createHash('sha256').update(data).digest(), DATA_AT * HASH_BYTES);
  return { path, table };
}

function write(path: string, block: number, bytes: Buffer): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, bytes, 0, bytes.length, block * BLOCK);
  closeSync(descriptor);
}

async function visited(path: string, table: BlockTable, range: BlockRange, t: TestContext): Promise<number[]> {
  await using written = await ImageBlocks.open(path, table, t.signal);
  const indexes: number[] = [];
  await written.visit(range, (_bytes, index) => indexes.push(index) > 0);
  return indexes;
}

test('holes are not read where the index has zeros', async (t) => {
  const { path, table } = sparseImage(t);
  assert.deepEqual(await visited(path, table, { first: 0, end: COUNT }, t), [DATA_AT]);
  const before = bytesRead();
  assert.equal((await compareImageWithIndex(path, table, t.signal)).differences.count, 0);
  assert.ok(bytesRead() - before < 64 * 1024 * 1024);
});

/** Bytes that this process has read, including from holes. */
const bytesRead = (): number => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);

test('data in place of zeros, and a hole in place of data, are found', async (t) => {
  const { path, table } = sparseImage(t);
  for (const block of [0, 70, 99, 101, 3000, COUNT - 1]) write(path, block, Buffer.from('x'));
  table.kinds[2000] = BLOCK_KIND.data;
  const { differences } = await compareImageWithIndex(path, table, t.signal);
  const wrong = [0, 70, 99, 101, 2000, 3000, COUNT - 1];
  assert.deepEqual(
    differences.kept.map(({ detail }) => detail),
    wrong.map((block) => `the restored block at byte ${block * BLOCK} differs`),
  );
});

test('a file that ends within a run of zeros is read up to its end', async (t) => {
  const { path, table } = sparseImage(t);
  truncateSync(path, 3000 * BLOCK + 5);
  assert.deepEqual(await visited(path, table, { first: 2999, end: 3002 }, t), [2999, 3000, 3001]);
});

test('an aborted comparison stops with the reason', async (t) => {
  const { path, table } = sparseImage(t);
  const reason = new Error('stopped');
  await assert.rejects(compareImageWithIndex(path, table, AbortSignal.abort(reason)), reason);
});
