/** A drill in which one archive cannot be examined before it is restored. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate } from '../support/lab.ts';

test('an archive whose objects cannot be examined does not prevent the drill of the others', async (t) => {
  const lab = await labForTest(t);
  const ids = [(await addSnapshotOf(lab)).snapshotId, (await addSnapshotOf(lab)).snapshotId];
  const flags = ['--dd', '--source', 'direct', '--storage-class', 'GLACIER'];
  assert.equal((await runMigrate(lab, ['--snapshots', ...ids, ...flags])).code, 0);
  const scratch = join(lab.directory, 'scratch');
  mkdirSync(scratch);
  const denied = { kind: 'error' as const, status: 403, code: 'AccessDenied' };
  await lab.control.script({ service: 's3', operation: 'HeadObject', action: denied });
  const argv = ['drill', '--bucket', BUCKET, '--scratch', scratch, '--thaw', '--yes', '--wait', '--json'];
  const done = await runCli(lab.env, [...argv, '--sample', '2']);
  const drilled = recordsOf(done).filter(({ code }) => code === 'archive.drilled');
  assert.deepEqual(drilled.map(({ snapshot }) => snapshot).sort(), ids.sort());
  assert.equal(done.code, 0, done.stdout + done.stderr);
});
