import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadAhead } from '../../../src/fuse/read-ahead.ts';

const MiB = 2 ** 20;

test('nothing is fetched ahead of single reads, wherever they are', () => {
  const ahead = new ReadAhead();
  for (const offset of [0, 1000 * MiB, 64 * MiB, 500 * MiB, 300 * MiB])
    assert.equal(ahead.after(offset, 128 * 1024), null);
});

test('more and more is fetched ahead of a sequence, up to a limit, also if others are read in between', () => {
  const ahead = new ReadAhead();
  const lengths: number[] = [];
  for (let offset = 0; offset < 64 * MiB; offset += MiB) {
    const next = ahead.after(offset, MiB);
    ahead.after(1000 * MiB - offset * 10, 4096);
    if (next) assert.equal(next.from, offset + MiB);
    lengths.push(next ? next.to - next.from : 0);
  }
  assert.equal(lengths[0], 0);
  assert.deepEqual(
    lengths,
    lengths.toSorted((one, other) => one - other),
  );
  assert.equal(lengths.at(-1), 32 * MiB);
});
