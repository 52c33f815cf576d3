/** Our lz4 encoder: the decoders restore every encoded block. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { array, constantFrom, integer, property, assert as propertyHolds, record } from 'fast-check';
import type { CodecName } from '../../../src/archive/codec.ts';
import { decompressCommand } from '../../../src/archive/codec.ts';
import { type IndexingOrder, indexingCommand } from '../../../src/indexing/indexing-order.ts';
import { temporaryDirectory } from '../../../src/lib/temporary-files.ts';
import { encodedRoom, Lz4Coder, TABLE_BYTES } from '../../../src/lz4/coder.ts';
import { fullOr } from '../../support/sampled.ts';

const PAGE = 65_536;
const [TABLE, FROM, TO, BACK] = [PAGE - TABLE_BYTES, PAGE, 40 * PAGE, 90 * PAGE];
const memory = new WebAssembly.Memory({ initial: 128, maximum: 128, shared: true });
const coder = new Lz4Coder(memory);
const bytes = Buffer.from(memory.buffer);
const untouched = Buffer.alloc(bytes.length, 0xaa);

/** Encodes and decodes a block, and checks that nothing else in memory has changed. @returns its stored length. */
function roundTrip(plain: Buffer): number {
  bytes.fill(0xaa);
  plain.copy(bytes, FROM);
  const stored = coder.encode(FROM, plain.length, TO, TABLE);
  const room = encodedRoom(plain.length);
  assert.ok(stored <= room, `${stored} bytes in a room of ${room}`);
  assert.ok(bytes.subarray(0, TABLE).equals(untouched.subarray(0, TABLE)), 'before the table');
  assert.ok(bytes.subarray(FROM, FROM + plain.length).equals(plain), 'the plain bytes');
  assert.ok(bytes.subarray(FROM + plain.length, TO).equals(untouched.subarray(FROM + plain.length, TO)), 'behind them');
  assert.ok(bytes.subarray(TO + room, BACK).equals(untouched.subarray(TO + room, BACK)), 'behind the room');
  const length = coder.decode(TO, stored, BACK, plain.length);
  assert.equal(length, plain.length);
  assert.ok(bytes.subarray(BACK, BACK + plain.length).equals(plain), `${plain.length} bytes come back as others`);
  return stored;
}

/** Random bytes and text, and repetitions of them at all distances. */
const pieces = array(
  record({
    kind: constantFrom('random', 'text', 'repetition', 'copy'),
    bytes: integer({ min: 1, max: 3000 }),
    distance: integer({ min: 1, max: 100_000 }),
  }),
  { maxLength: 60 },
);

function build(parts: readonly { kind: string; bytes: number; distance: number }[]): Buffer {
  const plain = Buffer.alloc(60 * 3000);
  let end = 0;
  for (const { kind, bytes: length, distance } of parts) {
    if (kind === 'random' || end === 0) randomBytes(length).copy(plain, end);
    else if (kind === 'text') plain.fill(`${distance} lines of text, `, end, end + length);
    else {
      const back = Math.min(end, kind === 'copy' ? distance : 1 + (distance % 40));
      for (let at = 0; at < length; at++) plain.writeUInt8(plain.readUInt8(end - back + at), end + at);
    }
    end += length;
  }
  return plain.subarray(0, end);
}

test('every block decodes to its input, and nothing is written beyond its space', () => {
  propertyHolds(
    property(pieces, (parts) => {
      const plain = build(parts);
      if (plain.length > 0) roundTrip(plain);
    }),
    { numRuns: fullOr('random blocks', 20_000, 100) },
  );
});

test('blocks of all small lengths, and of lengths at which the encoding changes', () => {
  for (let length = 1; length <= 600; length++) {
    roundTrip(randomBytes(length));
    roundTrip(Buffer.alloc(length, 'a'));
    roundTrip(Buffer.alloc(length, 'abcdefghijkl'));
    roundTrip(Buffer.concat([randomBytes(length), Buffer.alloc(300)]));
  }
  for (const length of [65_535, 65_536, 65_551, 1_000_000]) roundTrip(Buffer.alloc(length));
});

test('a block is as small as that of the lz4 command', () => {
  const plain = readFileSync(process.execPath).subarray(20_000_000, 22_000_000);
  const { stdout } = spawnSync('lz4', ['-1', '-q', '-c', '--no-frame-crc'], { input: plain, maxBuffer: 2 ** 30 });
  const ours = roundTrip(plain);
  assert.ok(ours < 1.01 * stdout.length, `${ours} bytes, by the command ${stdout.length}`);
});

test('incompressible bytes take little more than their length', () => {
  const plain = randomBytes(2_000_000);
  assert.ok(roundTrip(plain) <= plain.length + plain.length / 255 + 16);
});

const text = readFileSync(process.execPath);

const STREAMS: Record<string, Buffer> = {
  'one byte': Buffer.from('x'),
  'a whole block': Buffer.concat([randomBytes(100), text.subarray(0, 4 * 2 ** 20 - 100)]),
  'many blocks, more than are in memory at once': text.subarray(0, 90_000_011),
  'blocks that cannot be compressed, between others': Buffer.concat([
    text.subarray(0, 5_000_000),
    randomBytes(9_000_000),
    Buffer.alloc(20_000_000),
  ]),
};

interface Streamed {
  stored: Buffer;
  report: { plainBytes: number; passedBytes: number };
  places: { plain: number; stored: number }[];
}

/** Compresses with the stage of the pipeline, which uses several threads. */
async function byStage(plain: Buffer, name: CodecName): Promise<Streamed> {
  await using directory = temporaryDirectory();
  const [linesFile, placesFile, reportFile] = ['lines', 'places', 'report'].map((file) => join(directory.path, file));
  const order = { layout: 'image', snapshot: 'snap-1', partition: null, bytes: plain.length, reportFile } as const;
  const stage = { ...order, codec: { name, level: 1 }, linesFile, placesFile } as IndexingOrder;
  const [tool = '', ...args] = indexingCommand(stage);
  const stored = execFileSync(tool, args, { input: plain, maxBuffer: 2 ** 30 });
  const lines = execFileSync('zstd', ['-dcq', placesFile ?? ''])
    .toString()
    .trim()
    .split('\n');
  return {
    stored,
    report: JSON.parse(readFileSync(reportFile ?? '', 'utf8')) as Streamed['report'],
    places: lines.map((line) => (JSON.parse(line) as { piece: Streamed['places'][0] }).piece),
  };
}

for (const [name, plain] of Object.entries(STREAMS)) {
  for (const codec of ['lz4', 'zstd'] as const) {
    test(`${name}, ${codec}: the standard command decodes it to the same bytes`, async () => {
      const { stored, report, places } = await byStage(plain, codec);
      const [tool = '', ...args] = decompressCommand(codec);
      const { status, stdout } = spawnSync(tool, args, { input: stored, maxBuffer: 2 ** 30 });
      assert.equal(status, 0);
      assert.ok(stdout.equals(plain));
      assert.deepEqual([report.plainBytes, report.passedBytes], [plain.length, stored.length]);
      assert.deepEqual(
        places.map((place) => place.plain),
        [...Array.from({ length: Math.ceil(plain.length / 2 ** 22) }, (_, block) => block * 2 ** 22), plain.length],
      );
      assert.equal(places.at(-1)?.stored, codec === 'lz4' ? stored.length - 8 : stored.length);
    });
  }
}
