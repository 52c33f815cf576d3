import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { emptyPlaces, positionOf, readPlaces, writePlaces } from '../../../src/fuse/block-places.ts';

test('places are read as they were written, and incomplete files are refused', () => {
  const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-test-places-'));
  try {
    const objects = [{ key: 'a b', etag: '"1"', codec: 'lz4', areBlocks: true } as const];
    const places = emptyPlaces({ objects, blocks: 5, frames: 3 });
    places.indexes.set([1, 2, 7, 8, 4_000_000_000]);
    places.hashes.fill(7, 32);
    places.frameOf.set([0, 0, 1, 1, 2]);
    places.frames.from.set([7, 100, 2 ** 45]);
    places.frames.to.set([100, 200, 2 ** 45 + 5]);
    places.frames.first.set([0, 7, 4_000_000_000]);
    places.frames.blocks.set([3, 2, 1]);
    writePlaces(directory, places);
    assert.deepEqual(readPlaces(directory), places);
    truncateSync(join(directory, 'places'), 100);
    assert.throws(() => readPlaces(directory), /incomplete/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('only listed blocks have a position', () => {
  const indexes = Uint32Array.of(1, 2, 7, 8, 4_000_000_000);
  for (const [at, index] of indexes.entries()) assert.equal(positionOf(indexes, index), at);
  for (const index of [0, 3, 9, 4_000_000_001]) assert.equal(positionOf(indexes, index), -1);
  assert.equal(positionOf(new Uint32Array(), 0), -1);
});
