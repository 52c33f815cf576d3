/** Memory does not grow with the tree: many small files, and one very large sparse one. */
import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, PROGRAM, runMigrate, runProgram, type TestLab } from '../support/lab.ts';
import { makeManyFiles } from '../support/trees.ts';

/** With SNAP_TO_S3_FULL, half a million and a million. */
const COUNTS = process.env['SNAP_TO_S3_FULL'] ? [500_000, 1_000_000] : [60_000];

const MOST_MEMORY = 300 * 2 ** 20;

const SPARSE = 8 * 2 ** 30;

for (const count of COUNTS) {
  test(`${count} files and a sparse file of 8 GiB`, async (t) => {
    const lab = await labForTest(t);
    const populate = async (directory: string) => {
      makeManyFiles(directory, count);
      writeFileSync(join(directory, 'sparse'), 'beginning');
      truncateSync(join(directory, 'sparse'), SPARSE);
      writeFileSync(join(directory, 'sparse'), 'end', { flag: 'a' });
    };
    const sizeMiB = 512 + Math.ceil(count / 180);
    await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'xfs', sizeMiB, populate }] });
    assert.equal((await runMigrate(lab, ['--all'])).code, 0);
    const memory = await validateMeasured(lab, count);
    t.diagnostic(`${Math.round(memory / 2 ** 20)} MiB at most`);
    assert.ok(memory < MOST_MEMORY, `${memory} bytes`);
  });
}

/** @returns the most bytes that the program itself had in memory. */
async function validateMeasured(lab: TestLab, count: number): Promise<number> {
  const mountPoint = join(lab.directory, 'mnt');
  let most = 0;
  // The shell becomes the program, so that its process id is known before it starts.
  const script = 'echo $$ >&2; exec "$@"';
  const argv = [process.execPath, PROGRAM, 'validate', '--all', '--json', '--bucket', BUCKET];
  let pid = '';
  const done = await runProgram(['sh', '-c', script, 'sh', ...argv, '--mount-point', mountPoint], {
    env: lab.env,
    onLine: (line) => {
      if (/^\d+$/.test(line)) pid = line;
      if (line.includes('snapshot.validated')) most = highWaterMark(pid);
      const found = /"files":(\d+)/.exec(line);
      if (found) assert.equal(Number(found[1]), count + 1);
    },
  });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  return most;
}

const highWaterMark = (pid: string): number =>
  Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
