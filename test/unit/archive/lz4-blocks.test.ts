/** Places in the output of the lz4 command: from any of them, the rest of the frame decodes to the original bytes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Place } from '../../../src/archive/file-index.ts';
import { Lz4Blocks } from '../../../src/archive/lz4-blocks.ts';
import { FRAME_END, FRAME_HEADER } from '../../../src/archive/lz4-frame.ts';
import { through } from '../../support/tamper.ts';

const COMPRESS = ['lz4', '-1', '-z', '-c', '-q', '-'];
const DECOMPRESS = ['lz4', '-d', '-c', '-q', '-'];

/** @param step number of bytes taken at a time. If it is small, headers and lengths are split between chunks. */
function placesIn(stored: Buffer, step: number): Place[] {
  const places: Place[] = [];
  const blocks = new Lz4Blocks((place) => places.push(place));
  for (let at = 0; at < stored.length; at += step) blocks.take(stored.subarray(at, at + step));
  return places;
}

for (const bytes of [1, 65_536, 70_000, 4_194_304, 4_194_305, 13_000_000]) {
  test(`${bytes} bytes`, async () => {
    const plain = Buffer.concat([randomBytes(bytes / 2), Buffer.alloc(Math.ceil(bytes / 2), 'a')]).subarray(0, bytes);
    const stored = await through(COMPRESS, plain);
    const places = placesIn(stored, 1_000_003);
    assert.deepEqual(placesIn(stored, bytes > 100_000 ? 4099 : 3), places);
    assert.ok(places.length >= 2);
    for (const [number, { plain: from, stored: start }] of places.slice(0, -1).entries()) {
      const next = places[number + 1] ?? { plain: 0, stored: 0 };
      const piece = Buffer.concat([FRAME_HEADER, stored.subarray(start, next.stored), FRAME_END]);
      assert.ok((await through(DECOMPRESS, piece)).equals(plain.subarray(from, next.plain)), `piece ${number}`);
    }
  });
}

test('other streams have no places', () => {
  for (const bytes of [randomBytes(1000), Buffer.alloc(1000), Buffer.alloc(0)])
    assert.deepEqual(placesIn(bytes, 10), []);
});
