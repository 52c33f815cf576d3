/** Temporary directories of killed runs are found, except for those that another machine may be using. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { machineMark, thisProcess } from '../../src/lib/process-identity.ts';
import { newRunDirectory, orphanedDirectories, temporaryDirectory } from '../../src/lib/temporary-files.ts';

/** Mounts a filesystem of this type. @returns its directory. */
async function mounted(t: TestContext, type: 'tmpfs' | 'ramfs'): Promise<string> {
  const path = mkdtempSync(join(tmpdir(), 'snap-to-s3-test-'));
  await run(['mount', '-t', type, type, path]);
  t.after(async () => {
    await run(['umount', path]);
    rmSync(path, { recursive: true });
  });
  return path;
}

const OTHER_BOOT = '01234567-89ab-cdef-0123-456789abcdef';

const OTHER_MACHINE = '0123456789abcdef';

/** Creates directories of a living process, of a dead one and of other boots, and two with similar names. */
function fill(base: string): { dead: string; earlier: string } {
  const { boot, namespace, pid } = thisProcess();
  newRunDirectory(base);
  const dead = `snap-to-s3-run-${boot}-${namespace}-${pid}-1-aaaaaa`;
  const otherBoot = `snap-to-s3-run-${OTHER_BOOT}-${namespace}-${pid}-1`;
  const earlier = `${otherBoot}-m${machineMark()}-bbbbbb`;
  for (const name of [dead, earlier, `${otherBoot}-m${OTHER_MACHINE}-dddddd`, `${otherBoot}-eeeeee`])
    mkdirSync(join(base, name));
  for (const name of [`snap-to-s3-run-${namespace}-${pid}-1-cccccc`, 'snap-to-s3-run-x']) mkdirSync(join(base, name));
  return { dead, earlier };
}

const found = (base: string): string[] =>
  orphanedDirectories(base)
    .map((path) => basename(path))
    .sort();

/** The server of a shared filesystem has it as a local one. */
test('on a local filesystem, directories of an earlier boot are found, too, but not those of other machines', async (t) => {
  const base = await mounted(t, 'tmpfs');
  const { dead, earlier } = fill(base);
  const isMarked = machineMark() !== '';
  assert.deepEqual(found(base), (isMarked ? [dead, earlier] : [dead]).sort());
  rmSync(join(base, dead), { recursive: true });
  assert.deepEqual(found(base), isMarked ? [earlier] : []);
});

/** ramfs is a filesystem that is not known to belong to one machine only, like NFS. */
test('on any other filesystem, only directories of dead processes of this machine are found', async (t) => {
  const base = await mounted(t, 'ramfs');
  const { dead } = fill(base);
  assert.deepEqual(found(base), [dead]);
});

test('the directory of a living process is named after it and its machine', async (t) => {
  const base = await mounted(t, 'tmpfs');
  const { boot, namespace, pid, started } = thisProcess();
  const mark = machineMark() === '' ? '' : `m${machineMark()}-`;
  const name = basename(newRunDirectory(base));
  assert.match(name, new RegExp(`^snap-to-s3-run-${boot}-${namespace}-${pid}-${started}-${mark}[^-]{6}$`));
  assert.deepEqual(found(base), []);
});

test('a temporary directory is removed without blocking the main loop', async () => {
  const directory = temporaryDirectory();
  for (let count = 0; count < 100; count++) writeFileSync(join(directory.path, String(count)), '');
  const removed = directory[Symbol.asyncDispose]();
  assert.ok(existsSync(directory.path), 'the main loop goes on before it is gone');
  await removed;
  assert.ok(!existsSync(directory.path));
});
