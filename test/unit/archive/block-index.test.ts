/** The index of an image: it is read back unchanged, damage is refused, and differences are found. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { BlockIndexWriter } from '../../../src/archive/block-index.ts';
import { BLOCK_KIND, type BlockTable, readImageIndex } from '../../../src/archive/block-table.ts';
import { ByteStream } from '../../../src/archive/byte-stream.ts';
import { SnapError } from '../../../src/errors.ts';
import { compareImageWithBlocks } from '../../../src/streams/image-with-blocks.ts';
import { seededRandom } from '../../support/sampled.ts';

const BLOCK = 4096;

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64');

interface Sample {
  disk: Buffer;
  index: Buffer;
  /** Blocks whose bytes are known. */
  known: number[];
}

const random = seededRandom();

/** Returns a disk of blocks of random kinds, with its index. An earlier run has stored the blocks before `stored`. */
async function sample(blocks: number, stored: number): Promise<Sample> {
  const disk = Buffer.alloc(blocks * BLOCK);
  const writer = new BlockIndexWriter({ snapshot: 'snap-1', bytes: disk.length, blockBytes: BLOCK });
  writer.stored(stored);
  for (let index = 0; index < blocks; index++) {
    const block = disk.subarray(index * BLOCK, (index + 1) * BLOCK);
    const kind = random();
    if (kind < 0.4) randomBytes(BLOCK).copy(block);
    if (index >= stored && index % 7 === 0) writer.piece(index * BLOCK, index);
    if (index >= stored && kind < 0.7) writer.block(index, kind < 0.4 ? sha256(block) : null);
  }
  const known = Array.from({ length: blocks - stored }, (_, index) => stored + index);
  return { disk, index: await writer.finish(), known };
}

/** Delivers the bytes in chunks of random lengths. */
function streamOf(bytes: Buffer): ByteStream {
  let position = 0;
  return new ByteStream(() => {
    const chunk = bytes.subarray(position, position + 1 + Math.floor(random() * 3 * BLOCK));
    position += chunk.length;
    return chunk;
  });
}

const never = new AbortController().signal;

const kindsFound = (bytes: Buffer, table: BlockTable): string[] =>
  compareImageWithBlocks(streamOf(bytes), table).differences.kept.map(({ kind }) => kind);

test('any disk matches its index; a changed byte and a wrong length do not', async () => {
  for (let round = 0; round < 50; round++) {
    const { disk, index, known } = await sample(5 + (round % 40), round % 5);
    const { table } = await readImageIndex(index, 'index', never);
    assert.deepEqual(kindsFound(disk, table), []);
    assert.deepEqual(kindsFound(disk.subarray(0, disk.length - 1), table), ['size']);
    assert.deepEqual(kindsFound(Buffer.concat([disk, Buffer.alloc(1)]), table), ['size']);
    const block = known[Math.floor(random() * known.length)] ?? 0;
    const place = block * BLOCK + Math.floor(random() * BLOCK);
    disk.writeUInt8(disk.readUInt8(place) ^ 1, place);
    assert.deepEqual(kindsFound(disk, table), ['content']);
  }
});

test('blocks that an earlier run stored are unknown', async () => {
  const { index } = await sample(10, 4);
  const { kinds } = (await readImageIndex(index, 'index', never)).table;
  assert.deepEqual([...kinds.subarray(0, 4)], [0, 0, 0, 0]);
  assert.ok(kinds.subarray(4).every((kind) => kind !== BLOCK_KIND.unknown));
});

test('an index of several frames is read completely', async () => {
  const [blocks, pieces] = [
    lines(HEADER, { blocks: [0, 3], is: 'zero' }),
    lines({ piece: { plain: 0, stored: 7 } }, { piece: { plain: 3 * BLOCK, stored: 99 } }),
  ];
  const index = await readImageIndex(Buffer.concat([blocks, pieces]), 'index', never);
  assert.deepEqual(index.pieces, [
    { plain: 0, stored: 7 },
    { plain: 3 * BLOCK, stored: 99 },
  ]);
});

test('reading a long index yields to other tasks, and can be canceled', async () => {
  const count = 100_000;
  const blocks = Array.from({ length: count }, (_, at) => ({ blocks: [at, at + 1], is: 'zero' }));
  const index = lines({ ...HEADER, bytes: count * BLOCK }, ...blocks);
  let turns = 0;
  let isOver = false;
  const take = () => {
    turns++;
    if (!isOver) setImmediate(take);
  };
  take();
  await readImageIndex(index, 'index', never);
  isOver = true;
  assert.ok(turns >= 10, `${turns} turns`);
  const controller = new AbortController();
  const reading = readImageIndex(index, 'index', controller.signal);
  controller.abort(new Error('enough'));
  await assert.rejects(reading, /enough/);
});

const HEADER = { format: 1, snapshot: 'snap-1', bytes: 3 * BLOCK, blockBytes: BLOCK };
const lines = (...content: object[]): Buffer =>
  zstdCompressSync(Buffer.from(content.map((line) => `${JSON.stringify(line)}\n`).join('')));

const DAMAGED: [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['noise', randomBytes(1000)],
  ['no lines', lines()],
  ['invalid JSON', zstdCompressSync(Buffer.from('{"format":1\n'))],
  ['a truncated line', zstdCompressSync(Buffer.from(JSON.stringify(HEADER)))],
  ['another format', lines({ ...HEADER, format: 2 })],
  ['no blocks', lines(HEADER)],
  ['no size', lines({ format: 1 })],
  ['a negative size', lines({ ...HEADER, bytes: -1 })],
  ['an impossible size', lines({ ...HEADER, bytes: 2 ** 60 })],
  ['a gap', lines(HEADER, { blocks: [1, 3], is: 'zero' })],
  ['an overlap', lines(HEADER, { blocks: [0, 2], is: 'zero' }, { blocks: [1, 3], is: 'zero' })],
  ['too many blocks', lines(HEADER, { blocks: [0, 4], is: 'zero' })],
  ['too few blocks', lines(HEADER, { blocks: [0, 2], is: 'zero' })],
  ['a negative run', lines(HEADER, { blocks: [0, -3], is: 'zero' })],
  ['invalid blocks', lines(HEADER, { blocks: 'all', is: 'zero' })],
  ['an unknown kind', lines(HEADER, { blocks: [0, 3], is: 'fine' })],
  ['one hash of many blocks', lines(HEADER, { blocks: [0, 3], is: 'data', sha256: sha256(Buffer.alloc(1)) })],
  ['an invalid hash', lines(HEADER, { blocks: [0, 1], is: 'data', sha256: 'abc' }, { blocks: [1, 3], is: 'zero' })],
  ['a hash that is a number', lines(HEADER, { blocks: [0, 1], is: 'data', sha256: 7 }, { blocks: [1, 3], is: 'zero' })],
  ['null', lines(HEADER, [null])],
  ['data after the index', Buffer.concat([lines(HEADER, { blocks: [0, 3], is: 'zero' }), randomBytes(20)])],
  [
    'pieces out of order',
    lines(HEADER, { blocks: [0, 3], is: 'zero' }, ...[5, 4].map((stored) => ({ piece: { plain: 0, stored } }))),
  ],
];

for (const [name, body] of DAMAGED) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(
      readImageIndex(body, 'the/index', never),
      (error) => error instanceof SnapError && error.code === 'DIFFERS' && error.message.startsWith('the/index: '),
    );
  });
}

test('the last block of a partition must have exactly the remaining length', async () => {
  for (const isZero of [true, false]) {
    const disk = Buffer.concat([randomBytes(BLOCK), isZero ? Buffer.alloc(1536) : randomBytes(1536)]);
    const writer = new BlockIndexWriter({ snapshot: 'snap-1', bytes: disk.length, blockBytes: BLOCK });
    writer.block(0, sha256(disk.subarray(0, BLOCK)));
    writer.block(1, isZero ? null : sha256(disk.subarray(BLOCK)));
    const { table } = await readImageIndex(await writer.finish(), 'key', never);
    const kindsOf = (image: Buffer) =>
      compareImageWithBlocks(streamOf(image), table).differences.kept.map(({ kind }) => kind);
    assert.deepEqual(kindsOf(disk), []);
    assert.deepEqual(kindsOf(disk.subarray(0, -512)), ['size']);
    assert.deepEqual(kindsOf(Buffer.concat([disk, Buffer.alloc(512)])), ['size']);
  }
});
