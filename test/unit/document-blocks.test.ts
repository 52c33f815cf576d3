/** A test checks every code block in the documents, or this file states why none does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blocksOf, commandsIn, documentBlocks } from '../support/document-blocks.ts';

/** The test that checks the blocks of each language. */
const CHECKED_BY = {
  sh: 'test/documents/commands.test.ts runs each command',
  console: 'test/documents/commands.test.ts runs the commands; their output is an example',
  ts: 'test/documents/library.test.ts compiles and runs each program',
  json: 'the test below parses it',
  text: 'it is among OTHERS',
};

/** Blocks that are neither run nor compiled: their document, their beginning, and the reason. */
const OTHERS: { document: string; begins: string; why: string }[] = [
  { document: 'docs/archive-format.md', begins: 'vol-xxx/', why: 'names; test/unit/archive/key.test.ts has them' },
  { document: 'docs/costs/analyze.md', begins: '8 rows read', why: 'output; test/costs/analyze.test.ts has its words' },
];

const blocks = documentBlocks();

test('every code block has a language', () => {
  assert.ok(blocks.length > 50, `${blocks.length} blocks were found`);
  const unknown = blocks.filter(({ kind }) => !(kind in CHECKED_BY));
  assert.deepEqual(unknown, []);
  for (const kind of Object.keys(CHECKED_BY))
    assert.ok(
      blocks.some((block) => block.kind === kind),
      kind,
    );
});

test('blocks that are not checked are listed with the reason', () => {
  const texts = blocks.filter(({ kind }) => kind === 'text');
  const isOf =
    ({ document, text }: (typeof texts)[number]) =>
    (other: (typeof OTHERS)[number]) =>
      other.document === document && text.startsWith(other.begins);
  assert.deepEqual(
    texts.filter((block) => !OTHERS.some(isOf(block))),
    [],
  );
  const gone = OTHERS.filter((other) => !texts.some((block) => isOf(block)(other)));
  assert.deepEqual(gone, [], 'there are reasons for blocks that are not there');
});

test('JSON can be parsed', () => {
  for (const { document, text } of blocks.filter(({ kind }) => kind === 'json'))
    assert.doesNotThrow(() => JSON.parse(text), `${document}: ${text.slice(0, 80)}`);
});

test('every block of commands contains a command', () => {
  for (const { document, kind, text } of blocks.filter((block) => block.kind === 'sh' || block.kind === 'console'))
    assert.ok(commandsIn(kind, text).length > 0, `${document}: ${text.slice(0, 80)}`);
});

test('no block is overlooked', () => {
  const [inList] = blocksOf('a.md', '1. x\n   ```sh\n   ls\n   ```\n');
  assert.deepEqual(inList, { document: 'a.md', kind: 'sh', text: '   ls\n' });
  assert.throws(() => blocksOf('a.md', '```sh\nls\n'), /does not end/);
  assert.throws(() => blocksOf('a.md', 'x\n\n    ls -l\n'), /without a fence/);
  assert.deepEqual(commandsIn('sh', "a \\\n  b\nc 'd\ne'\n"), ['a \\\n  b', "c 'd\ne'"]);
  assert.throws(() => commandsIn('sh', "echo 'x\n"), /does not end/);
});
