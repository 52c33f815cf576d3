/** Documents of JSON lines are read line by line, wherever the parts of their text and their frames end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { JsonLinesWriter, readJsonLines } from '../../../src/archive/json-lines.ts';

const MiB = 2 ** 20;
const never = new AbortController().signal;

interface Line {
  number: number;
  text: string;
}

async function read(body: Uint8Array, maximum = 64 * MiB): Promise<Line[]> {
  const lines: Line[] = [];
  await readJsonLines<Line>(body, maximum, never, (line) => lines.push(line));
  return lines;
}

/** Lines of many lengths, with characters of several bytes. Some are longer than the parts in which text is decoded. */
const LINES: readonly Line[] = Array.from({ length: 3000 }, (_, number) => ({
  number,
  text: 'é€'.repeat(number % 500 === 499 ? MiB / 2 : number % 97),
}));

const textOf = (lines: readonly Line[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

test('a document is read back as it was written', async () => {
  const writer = new JsonLinesWriter();
  for (const line of LINES) writer.add(line);
  assert.deepEqual(await read(await writer.finish()), LINES);
});

test('frames may end within lines, and the document may be a part of a larger buffer', async () => {
  const text = Buffer.from(textOf(LINES));
  const frames = [0, 1, 1000, 3 * MiB + 1].map((from, at, all) => zstdCompressSync(text.subarray(from, all[at + 1])));
  const body = Buffer.concat([Buffer.from('before'), ...frames, Buffer.from('after')]);
  assert.deepEqual(await read(body.subarray(6, -5)), LINES);
});

test('a document without lines is empty', async () => {
  assert.deepEqual(await read(zstdCompressSync('')), []);
});

for (const [what, text, why] of [
  ['a truncated line', '{"number":1}\n{"number":2}', /truncated/],
  ['an empty line', '{"number":1}\n\n', SyntaxError],
  ['text that is not JSON', 'number\n', SyntaxError],
  ['a line of 20 MiB', `${' '.repeat(20 * MiB)}1\n`, /a line is too long/],
  ['more bytes than allowed', '{"number":1}\n'.repeat(6 * MiB), /it is too long/],
] as const) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(read(zstdCompressSync(text)), why);
  });
}

test('an aborted signal and a line that is not accepted end the reading', async () => {
  const body = zstdCompressSync(textOf(LINES));
  const stopped = AbortSignal.abort(new Error('stopped'));
  await assert.rejects(
    readJsonLines(body, 64 * MiB, stopped, () => {}),
    /stopped/,
  );
  let taken = 0;
  const refuse = () => {
    if (++taken === 2000) throw new Error('refused');
  };
  await assert.rejects(readJsonLines(body, 64 * MiB, never, refuse), /refused/);
  assert.equal(taken, 2000);
});
