/** Restores do not replace other users' files or files that appear during the restore, and never share a target. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { SnapError } from '../../src/errors.ts';
import type { ArchivedObject } from '../../src/operations/reading/find-archive.ts';
import { openDirectory } from '../../src/operations/restore/files/restore-directory.ts';
import { isOrIsOn, openTarget } from '../../src/operations/restore/image/restore-target.ts';
import { runProgram, temporaryDirectory } from '../support/lab.ts';
import { until } from '../support/until.ts';

const SIZE = { plainBytes: 1000, dataBytes: 1000 };

const OBJECT: ArchivedObject = {
  key: 'k',
  partition: null,
  layout: 'tar',
  codec: 'lz4',
  cipher: 'none',
  facts: null,
};

const openFile = (t: TestContext, path: string, overwrite = false) =>
  openTarget({ kind: 'file', path }, overwrite, SIZE, t.signal);

const openTree = (path: string) => openDirectory(path, 'snap-1', OBJECT, false);

const isTargetError = (what: RegExp) => (error: unknown) =>
  error instanceof SnapError && error.code === 'TARGET' && what.test(error.message);

test('a file created during the restore is not replaced, and the restored image is kept', async (t) => {
  const path = join(temporaryDirectory(t), 'disk.img');
  {
    await using target = await openFile(t, path);
    writeFileSync(target.path, 'the image');
    writeFileSync(path, 'precious');
    await assert.rejects(target.keep(), isTargetError(/the image is complete, but could not be renamed to .*EEXIST/));
  }
  assert.equal(readFileSync(path, 'utf8'), 'precious');
  assert.equal(readFileSync(`${path}.unfinished`, 'utf8'), 'the image');
  {
    await using target = await openFile(t, path, true);
    await target.keep();
  }
  assert.equal(readFileSync(path, 'utf8'), 'the image');
  assert.ok(!existsSync(`${path}.unfinished`));
});

/** Makes hard links fail, as on FAT, and delays renames, so that the name can be taken in between. */
const WITHOUT_LINKS = ['inject=?link,?linkat:error=EPERM', 'inject=?rename,?renameat,?renameat2:delay_enter=300ms'];

const RENAMING = `import(process.argv[1])
  .then(({ renameToNew }) => renameToNew(process.argv[2], process.argv[3]))
  .catch(({ code }) => process.stdout.write(code))`;

test('on a filesystem without hard links, a file created during the restore is not replaced either', async (t) => {
  const directory = temporaryDirectory(t);
  const [from, to] = [join(directory, 'disk.img.unfinished'), join(directory, 'disk.img')];
  writeFileSync(from, 'the image');
  const module = join(import.meta.dirname, '..', '..', 'src', 'operations', 'restore', 'image', 'rename-to-new.ts');
  const tracing = ['strace', '-f', '-qq', '-e', 'trace=?link,?linkat,?rename,?renameat,?renameat2'];
  const argv = [...tracing, ...WITHOUT_LINKS.flatMap((what) => ['-e', what])];
  let isRefused = false;
  const onLine = (line: string) => {
    isRefused ||= /link.*INJECTED/.test(line);
  };
  let hasEnded = false;
  const running = runProgram([...argv, process.execPath, '-e', RENAMING, module, from, to], { onLine }).finally(() => {
    hasEnded = true;
  });
  let isTaken = false;
  // Once the link is refused, create the file if it does not exist, as another process could.
  await until(async () => {
    if (isRefused && !hasEnded) isTaken ||= createNew(to);
    return hasEnded;
  });
  const { stderr } = await running;
  assert.ok(isRefused, stderr);
  assert.equal(readFileSync(to, 'utf8'), isTaken ? 'precious' : 'the image', stderr);
  assert.equal(existsSync(from), isTaken);
});

function createNew(path: string): boolean {
  try {
    writeFileSync(path, 'precious', { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

test('two restores to one target at the same time are refused', async (t) => {
  const directory = temporaryDirectory(t);
  const [file, tree] = [join(directory, 'disk.img'), join(directory, 'tree')];
  {
    await using _first = await openFile(t, file);
    using _second = await openTree(tree);
    await assert.rejects(openFile(t, file), isTargetError(/is in use: another process/));
    await assert.rejects(openTree(tree), isTargetError(/is in use: another process/));
    assert.ok(existsSync(`${file}.unfinished`), 'the first one goes on');
  }
  await using again = await openFile(t, file);
  using _continued = await openTree(tree);
  await again.keep();
  assert.deepEqual(readdirSync(directory).sort(), ['disk.img', 'tree']);
});

test('symbolic links, hard links and files of another user are refused as unfinished files', async (t) => {
  const directory = temporaryDirectory(t);
  const tree = join(directory, 'tree');
  mkdirSync(tree);
  const victim = join(directory, 'victim');
  writeFileSync(victim, 'precious');
  const prepared: [string, string, () => Promise<unknown>][] = [
    ['file', join(directory, 'disk.img.unfinished'), () => openFile(t, join(directory, 'disk.img'))],
    ['tree', join(tree, '.snap-to-s3-unfinished'), () => openTree(tree)],
  ];
  for (const [what, place, open] of prepared) {
    symlinkSync(victim, place);
    await assert.rejects(open(), isTargetError(/could not write .*: ELOOP/), what);
    await remove(place);
    linkSync(victim, place);
    await assert.rejects(open(), isTargetError(/has other hard links|contains an unfinished restore/), what);
    await remove(place);
    writeFileSync(place, '');
    chownSync(place, 12_345, 12_345);
    await assert.rejects(open(), isTargetError(/belongs to another user/), what);
    await remove(place);
  }
  assert.equal(readFileSync(victim, 'utf8'), 'precious');
  const own = join(directory, 'disk.img.unfinished');
  writeFileSync(own, '');
  chmodSync(own, 0o666);
  await using target = await openFile(t, join(directory, 'disk.img'));
  assert.equal(statSync(target.path).mode & 0o777, 0o600);
});

const remove = async (path: string) => (await import('node:fs/promises')).rm(path);

test('--overwrite replaces only files', async (t) => {
  const directory = temporaryDirectory(t);
  const link = join(directory, 'link');
  symlinkSync(join(directory, 'nowhere'), link);
  for (const path of ['/dev/null', directory, link])
    await assert.rejects(openFile(t, path, true), isTargetError(/is not a regular file/));
  await assert.rejects(openFile(t, link), isTargetError(/already exists/));
});

test('a device and its partitions are recognized by any name', () => {
  for (const [name, device, is] of [
    ['/dev/sda1', '/dev/sda', true],
    ['/dev/nvme0n1p2', '/dev/nvme0n1', true],
    ['/dev/sdab', '/dev/sda', false],
    ['/dev/mapper/a(b', '/dev/mapper/a(b', true],
    ['/dev/mapper/axb1', '/dev/mapper/a.b', false],
  ] as const)
    assert.equal(isOrIsOn(name, device), is, name);
});
