/** Removing trees: names of any bytes, any depth, links, and cancellation. */
import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Interrupted } from '../../../src/errors.ts';
import { emptyDirectory, removeTree } from '../../../src/host/remove-tree.ts';

const signal = new AbortController().signal;

function directoryFor(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'remove-tree-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A name that is not valid UTF-8. */
const BYTES = Buffer.from([0x66, 0xff, 0xfe]);

const inside = (directory: string | number, name: Buffer): Buffer =>
  Buffer.concat([Buffer.from(typeof directory === 'string' ? `${directory}/` : `/proc/self/fd/${directory}/`), name]);

test('a directory is emptied except for the kept names at its top', async (t) => {
  const path = directoryFor(t);
  writeFileSync(join(path, 'kept'), '');
  mkdirSync(join(path, 'directory', 'kept'), { recursive: true });
  writeFileSync(inside(path, BYTES), '');
  mkdirSync(inside(join(path, 'directory'), BYTES));
  for (let file = 0; file < 100; file++) writeFileSync(join(path, 'directory', 'kept', String(file)), '');
  await emptyDirectory(path, new Set(['kept']), signal);
  assert.deepEqual(readdirSync(path), ['kept']);
});

test('a tree that is deeper than the longest path is removed', async (t) => {
  const path = directoryFor(t);
  const name = Buffer.concat([Buffer.alloc(200, 'd'), BYTES]);
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  let open = openSync(path, flags);
  for (let depth = 0; depth < 40; depth++) {
    mkdirSync(inside(open, name));
    const next = openSync(inside(open, name), flags);
    closeSync(open);
    open = next;
  }
  closeSync(open);
  await removeTree(path, signal);
  assert.ok(!existsSync(path));
});

test('a link is removed, and what it leads to is not', async (t) => {
  const [path, other] = [directoryFor(t), directoryFor(t)];
  writeFileSync(join(other, 'file'), '');
  symlinkSync(other, join(path, 'link'));
  await emptyDirectory(path, new Set(), signal);
  assert.deepEqual(readdirSync(path), []);
  symlinkSync(other, join(path, 'link'));
  await removeTree(join(path, 'link'), signal);
  assert.deepEqual([readdirSync(path), readdirSync(other)], [[], ['file']]);
});

test('a tree that does not exist counts as removed', async (t) => {
  await removeTree(join(directoryFor(t), 'none'), signal);
});

test('an interruption stops the removal', async (t) => {
  const path = directoryFor(t);
  for (let file = 0; file < 100; file++) writeFileSync(join(path, String(file)), '');
  const aborted = AbortSignal.abort(new Interrupted('SIGINT'));
  await assert.rejects(removeTree(path, aborted), { code: 'INTERRUPTED' });
  await assert.rejects(emptyDirectory(path, new Set(), aborted), { code: 'INTERRUPTED' });
  assert.equal(readdirSync(path).length, 100);
});
