/** Any image, compressed by the real programs, and its plan. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { BLOCK_KIND, HASH_BYTES, newTable } from '../../../src/archive/block-table.ts';
import type { Place } from '../../../src/archive/file-index.ts';
import type { ManifestObject } from '../../../src/archive/manifest.ts';
import type { ArchivedObject } from '../../../src/operations/reading/find-archive.ts';
import { ImagePlan } from '../../../src/operations/restore/image/plan-image.ts';
import { through } from '../../support/tamper.ts';
import { Lz4Blocks } from './lz4-blocks.ts';

const PIECE = 4 * 2 ** 20;
export const BLOCK = 512 * 1024;

interface Stored {
  body: Buffer;
  pieces: Place[];
}

/** An image that was read from a volume is one frame. Its blocks are the pieces. */
async function asBlocks(image: Buffer): Promise<Stored> {
  const body = await through(['lz4', '-1', '-q', '-c'], image);
  const pieces: Place[] = [];
  new Lz4Blocks((place) => pieces.push(place)).take(body);
  return { body, pieces };
}

/** An image from direct reads has one frame for each piece. */
async function asFrames(image: Buffer, compress: (piece: Buffer) => Buffer | Promise<Buffer>): Promise<Stored> {
  const frames: Buffer[] = [];
  const pieces: Place[] = [];
  let stored = 0;
  for (let plain = 0; plain < image.length; plain += PIECE) {
    pieces.push({ plain, stored });
    const frame = await compress(image.subarray(plain, plain + PIECE));
    frames.push(frame);
    stored += frame.length;
  }
  return { body: Buffer.concat(frames), pieces };
}

const ZEROS = Buffer.alloc(PIECE);
let zeroFrame: Buffer | null = null;

/** Compresses a piece of zeros only once. */
async function lz4Frame(piece: Buffer): Promise<Buffer> {
  const isZero = piece.equals(ZEROS);
  if (isZero && zeroFrame) return zeroFrame;
  const frame = await through(['lz4', '-1', '-q', '-c'], piece);
  if (isZero) zeroFrame = frame;
  return frame;
}

export const WAYS = {
  'lz4 blocks': { codec: 'lz4', store: asBlocks },
  'lz4 frames': { codec: 'lz4', store: (image: Buffer) => asFrames(image, lz4Frame) },
  'zstd frames': { codec: 'zstd', store: (image: Buffer) => asFrames(image, (piece) => zstdCompressSync(piece)) },
} as const;

const RUN = fc.oneof(
  fc.record({ isZero: fc.constant(true), pieces: fc.integer({ min: 1, max: 10 }) }),
  fc.record({ isZero: fc.constant(false), pieces: fc.integer({ min: 1, max: 2 }) }),
);

export const IMAGES = {
  way: fc.constantFrom(...(Object.keys(WAYS) as (keyof typeof WAYS)[])),
  runs: fc.array(RUN, { minLength: 1, maxLength: 4 }),
  // For less than 1 MiB, lz4 uses smaller blocks, and there is no plan.
  cut: fc.integer({ min: 0, max: PIECE - 2 ** 20 - 1 }),
};

interface ImageSample {
  runs: { isZero: boolean; pieces: number }[];
  cut: number;
}

/** Pieces that are not zero end with blocks of zeros. */
export function imageOf({ runs, cut }: ImageSample): Buffer {
  const pieces = runs.flatMap(({ isZero, pieces: count }) =>
    Array.from({ length: count }, () =>
      isZero ? Buffer.alloc(PIECE) : Buffer.concat([randomBytes(3 * BLOCK), Buffer.alloc(PIECE - 3 * BLOCK)]),
    ),
  );
  const image = Buffer.concat(pieces);
  return image.subarray(0, image.length - cut);
}

export async function planOf(image: Buffer, way: keyof typeof WAYS) {
  const { codec, store } = WAYS[way];
  const { body, pieces } = await store(image);
  const table = newTable(image.length, BLOCK);
  for (const [index] of table.kinds.entries()) {
    const block = image.subarray(index * BLOCK, (index + 1) * BLOCK);
    const isZero = block.equals(Buffer.alloc(block.length));
    table.kinds[index] = isZero ? BLOCK_KIND.zero : BLOCK_KIND.data;
    if (!isZero) table.hashes.set(createHash('sha256').update(block).digest(), index * HASH_BYTES);
  }
  const facts = { plainBytes: image.length, storedBytes: body.length, index: {} } as ManifestObject;
  const object: ArchivedObject = { key: 'k', partition: null, layout: 'image', codec, cipher: 'none', facts };
  const plan = ImagePlan.of(object, { table, pieces, storedBytes: 1 });
  assert.ok(plan);
  return { plan, object, body, codec };
}
