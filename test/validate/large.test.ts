/** The memory of `validate` does not grow with the number of files or with the size of a sparse file. */
import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addSnapshotOf } from '../support/disks.ts';
import { labForTest, runMigrate } from '../support/lab.ts';
import { runMeasured } from '../support/processes/memory.ts';
import { fullOr } from '../support/sampled.ts';
import { makeManyFiles } from '../support/trees/trees.ts';

const COUNTS = fullOr('numbers of files', [500_000, 1_000_000], [20_000]);

const MAX_MEMORY = 300e6;

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
    const { maxBytes, stdout } = await runMeasured(lab, ['validate', '--all'], 'snapshot.validated');
    assert.equal(Number(/"files":(\d+)/.exec(stdout)?.[1]), count + 1);
    t.diagnostic(`${Math.round(maxBytes / 2 ** 20)} MiB at most`);
    assert.ok(maxBytes < MAX_MEMORY, `${maxBytes} bytes`);
  });
}
