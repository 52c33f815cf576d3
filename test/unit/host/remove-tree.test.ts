/** Removing trees: names of any bytes, any depth, any number of files, links, permissions, and cancellation. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  linkSync,
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
  t.after(() => {
    process.seteuid?.(process.getuid?.() ?? 0);
    // Directories that a test has locked must be writable again for their owner.
    spawnSync('chmod', ['-R', 'u+rwX', path]);
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

/** A name that is not valid UTF-8. */
const BYTES = Buffer.from([0x66, 0xff, 0xfe]);

const inside = (directory: string | number, name: Buffer): Buffer =>
  Buffer.concat([Buffer.from(typeof directory === 'string' ? `${directory}/` : `/proc/self/fd/${directory}/`), name]);

/** A directory for the files of a test, in memory: the tests are about directories, not about the disk. */
function directoryInMemory(t: TestContext): string {
  const path = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'remove-tree-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Empties a directory and removes another one in a process of its own, which has limits. */
function removeWithLimits(emptied: string, removed: string, limits: { files: number; heapMiB: number }): void {
  const script = `
    const { emptyDirectory, removeTree } = await import(${JSON.stringify(import.meta.resolve('../../../src/host/remove-tree.ts'))});
    const signal = new AbortController().signal;
    await emptyDirectory(${JSON.stringify(emptied)}, new Set(), signal);
    await removeTree(${JSON.stringify(removed)}, signal);`;
  const node = [process.execPath, `--max-old-space-size=${limits.heapMiB}`, '--input-type=module', '--eval', script];
  const argv = ['-c', `ulimit -n ${limits.files} && exec "$@"`, 'sh', ...node];
  const { status, signal: killedBy, stderr } = spawnSync('sh', argv, { encoding: 'utf8' });
  assert.deepEqual({ status, killedBy }, { status: 0, killedBy: null }, stderr.slice(0, 2000));
  assert.deepEqual([readdirSync(emptied).length, existsSync(removed)], [0, false]);
}

test('the memory for a removal does not grow with the number of files', (t) => {
  const [emptied, removed] = [directoryInMemory(t), directoryInMemory(t)];
  for (let file = 0; file < 60_000; file++) {
    closeSync(openSync(join(emptied, `message.${file}.M123456P1234.host.example`), 'w'));
    linkSync(join(emptied, `message.${file}.M123456P1234.host.example`), join(removed, `message.${file}.host.example`));
  }
  removeWithLimits(emptied, removed, { files: 1024, heapMiB: 32 });
});

test('the number of open files does not grow with the depth of a tree', (t) => {
  const [emptied, removed] = [directoryInMemory(t), directoryInMemory(t)];
  for (const top of [emptied, removed]) mkdirSync(join(top, ...Array<string>(400).fill('d')), { recursive: true });
  removeWithLimits(emptied, removed, { files: 256, heapMiB: 256 });
});

/** Makes the files those of another user, and acts as that user until `directoryFor` cleans up. Only root needs it. */
function becomeOwnerOf(paths: readonly string[]): void {
  if (process.getuid?.() !== 0) return;
  const NOBODY = 65534;
  for (const path of paths) chownSync(path, NOBODY, NOBODY);
  process.seteuid?.(NOBODY);
}

test('an empty directory without read permission is removed', async (t) => {
  const path = directoryFor(t);
  const [emptied, removed] = [join(path, 'emptied'), join(path, 'removed')];
  const empty = [emptied, removed].map((top) => join(top, 'empty'));
  for (const directory of empty) {
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0);
  }
  becomeOwnerOf([path, emptied, removed, ...empty]);
  await emptyDirectory(emptied, new Set(), signal);
  await removeTree(removed, signal);
  assert.deepEqual([readdirSync(path), readdirSync(emptied)], [['emptied'], []]);
});

test('a removal continues after something that cannot be removed', async (t) => {
  const path = directoryFor(t);
  const locked = join(path, 'locked');
  mkdirSync(join(locked, 'file'), { recursive: true });
  for (let file = 0; file < 20; file++) writeFileSync(join(path, `file-${file}`), '');
  chmodSync(locked, 0o500);
  becomeOwnerOf([path, locked]);
  await assert.rejects(emptyDirectory(path, new Set(), signal), /cannot remove .*locked/);
  assert.deepEqual(readdirSync(path), ['locked']);
  await assert.rejects(removeTree(path, signal), { code: 'CLEANUP_FAILED', message: /cannot remove .*locked/ });
});

test('a directory is emptied through a link to it', async (t) => {
  const [path, other] = [directoryFor(t), directoryFor(t)];
  writeFileSync(join(other, 'file'), '');
  symlinkSync(other, join(path, 'link'));
  await emptyDirectory(join(path, 'link'), new Set(), signal);
  assert.deepEqual([readdirSync(path), readdirSync(other)], [['link'], []]);
});

test('kept names are no patterns', async (t) => {
  const path = directoryFor(t);
  for (const name of ['[ab]*', '[ab]c', 'a\\b']) writeFileSync(join(path, name), '');
  await emptyDirectory(path, new Set(['[ab]*', 'a\\b']), signal);
  assert.deepEqual(readdirSync(path).sort(), ['[ab]*', 'a\\b']);
});

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
