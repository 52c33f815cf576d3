/** Restores by an ordinary user: files without their owners, and images to snapshots. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { NODE_FLAGS } from '../../src/lib/node-flags.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, PROGRAM, recordsOf, runMigrate, runProgram } from '../support/lab.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { imageOf } from '../support/tamper.ts';

const NOBODY = 65534;

test('without root, files and snapshots are restored, but no owners and no volumes', async (t) => {
  const lab = await labForTest(t);
  const files = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const disk = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--dd', '--source', 'direct'])).code, 0);
  for (const directory of [join(lab.directory, '..'), lab.directory]) chmodSync(directory, 0o755);
  chmodSync(join(lab.directory, 'tmp'), 0o777);
  const free = join(lab.directory, 'free');
  mkdirSync(free);
  chmodSync(free, 0o777);
  const nobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', process.execPath];
  const restore = (...argv: string[]) =>
    runProgram([...nobody, ...NODE_FLAGS, PROGRAM, 'restore', '--bucket', BUCKET, '--json', ...argv], { env: lab.env });

  const into = join(free, 'into');
  const done = await restore(files.snapshotId, '--to-dir', into);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.equal(readFileSync(join(into, 'etc', 'hostname'), 'utf8'), 'machine\n');
  assert.equal(statSync(join(into, 'etc', 'hostname')).uid, NOBODY);

  const made = await restore(disk.snapshotId, '--to-snapshot');
  assert.equal(made.code, 0, made.stdout + made.stderr);
  const id = String(recordsOf(made).find(({ code }) => code === 'object.restored')?.['target']);
  await assertSameBytes(imageOf(lab, id), imageOf(lab, disk.snapshotId));

  const privileged = await restore(files.snapshotId, '--to-dir', join(free, 'other'), '--privileged');
  assert.equal(privileged.code, 2, privileged.stdout);
  const volume = await restore(disk.snapshotId, '--to-volume', '--dry-run');
  assert.equal(volume.code, 1, volume.stdout + volume.stderr);
  assert.match(volume.stdout + volume.stderr, /NOT_SUPPORTED_HERE.*needs root/);
  for (const more of [[], ['--dry-run']]) {
    const mounted = await restore(disk.snapshotId, '--to-dir', join(free, 'mounted'), '--path', 'etc', ...more);
    assert.equal(mounted.code, 1, mounted.stdout + mounted.stderr);
    assert.match(mounted.stdout, /NOT_SUPPORTED_HERE.*needs root/);
  }
  const elsewhere = join(lab.directory, 'not', 'allowed');
  for (const target of [
    ['--to-dir', elsewhere],
    ['--to-dir', elsewhere, '--dry-run'],
  ]) {
    const refused = await restore(files.snapshotId, ...target);
    assert.equal(refused.code, 1, refused.stdout);
    assert.match(refused.stdout, /"code":"TARGET".*could not write .*: EACCES/);
  }
  assert.equal(existsSync(join(lab.directory, 'not')), false);
});
