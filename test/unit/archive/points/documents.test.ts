/** The map and the block list of a point: they are read back unchanged, and damage is refused. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { type BlockList, decodeBlockList, encodeBlockList } from '../../../../src/archive/points/block-list.ts';
import { decodeMap, encodeMap, PLACE, type PointMap } from '../../../../src/archive/points/point-map.ts';
import { seededRandom } from '../../../support/sampled.ts';

const BLOCK = 524_288;
const NAME = 'vol-1/2026-01-01T00:00:00+00:00 snap-1';
const signal = new AbortController().signal;
const random = seededRandom();
const below = (limit: number): number => Math.floor(random() * limit);

function randomMap(): PointMap {
  const blocks = 1 + below(300);
  const generations = Array.from({ length: below(5) }, (_, index) => `snap-${index}`);
  const places = new Uint16Array(blocks);
  for (let from = 0; from < blocks; ) {
    const to = Math.min(blocks, from + 1 + below(40));
    places.fill(below(PLACE.first + generations.length), from, to);
    from = to;
  }
  return { bytes: blocks * BLOCK - below(BLOCK), blockBytes: BLOCK, generations, places };
}

function randomList(cipher: 'none' | 'gpg'): BlockList {
  const [indexes, places, packs]: [number[], number[], BlockList['packs'][number][]] = [[], [], []];
  let block = below(3);
  for (let number = 1; number <= below(4); number++) {
    const first = indexes.length;
    let place = 0;
    for (let count = 1 + below(20); count > 0; count--) {
      indexes.push(block);
      places.push(cipher === 'none' ? place : 0);
      block += 1 + below(5);
      place += 1 + below(1000);
    }
    const key = `${NAME}.1a2b3c4d.pack.000${number}.lz4${cipher === 'gpg' ? '.gpg' : ''}`;
    const object = { key, bytes: place, etag: `"${number}"`, crc32: number === 1 ? null : 'AAAAAA==' };
    packs.push({ ...object, codec: 'lz4', cipher, first, end: indexes.length });
  }
  const hashes = indexes.map((index) => createHash('sha256').update(`${index}`).digest());
  return {
    ...{ snapshot: 'snap-1', bytes: (block + 1) * BLOCK, blockBytes: BLOCK, packs },
    indexes: Uint32Array.from(indexes),
    hashes: new Uint8Array(Buffer.concat(hashes)),
    places: Float64Array.from(places),
  };
}

/** Removes or repeats one line of a document. */
function* damages(body: Buffer): Generator<Buffer> {
  const lines = zstdDecompressSync(body).toString().trimEnd().split('\n');
  for (const [at, line] of lines.entries()) {
    yield zstdCompressSync(`${lines.toSpliced(at, 1).join('\n')}\n`);
    yield zstdCompressSync(`${lines.toSpliced(at, 0, line).join('\n')}\n`);
  }
  yield body.subarray(0, body.length - 1);
  yield Buffer.from('text');
}

test('a map is read back unchanged', async () => {
  for (let round = 0; round < 50; round++) {
    const map = randomMap();
    assert.deepEqual(
      await decodeMap({ body: await encodeMap(map, 'snap-1'), key: 'k', snapshot: 'snap-1' }, signal),
      map,
    );
  }
});

test('a block list is read back unchanged', async () => {
  for (let round = 0; round < 50; round++) {
    const list = randomList(round % 2 ? 'none' : 'gpg');
    const read = await decodeBlockList({ body: await encodeBlockList(list), key: 'k', snapshot: 'snap-1' }, signal);
    assert.deepEqual(read, list);
  }
});

test('a damaged map or block list is refused', async () => {
  const isRefused = { code: 'DIFFERS' };
  for (let round = 0; round < 5; round++) {
    for (const body of damages(await encodeMap(randomMap(), 'snap-1')))
      await assert.rejects(decodeMap({ body, key: 'k', snapshot: 'snap-1' }, signal), isRefused);
    for (const body of damages(await encodeBlockList(randomList('none'))))
      await assert.rejects(decodeBlockList({ body, key: 'k', snapshot: 'snap-1' }, signal), isRefused);
  }
});

test('the documents of another point are refused', async () => {
  const map = await encodeMap(randomMap(), 'snap-1');
  const list = await encodeBlockList(randomList('none'));
  await assert.rejects(decodeMap({ body: map, key: 'k', snapshot: 'snap-2' }, signal), { code: 'DIFFERS' });
  await assert.rejects(decodeBlockList({ body: list, key: 'k', snapshot: 'snap-2' }, signal), { code: 'DIFFERS' });
  await assert.rejects(decodeMap({ body: list, key: 'k', snapshot: 'snap-1' }, signal), { code: 'DIFFERS' });
  await assert.rejects(decodeBlockList({ body: map, key: 'k', snapshot: 'snap-1' }, signal), { code: 'DIFFERS' });
});
