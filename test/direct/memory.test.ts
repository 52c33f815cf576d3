/** The memory of direct reads does not grow with the disk. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertPlainEquals, keyEnding } from '../support/archives.ts';
import { addSnapshotOfImage } from '../support/disks.ts';
import { labForTest } from '../support/lab.ts';
import { runMeasured } from '../support/processes/memory.ts';
import { fullOr } from '../support/sampled.ts';

const GiB = 2 ** 30;
const BLOCK = 524_288;

const SIZE = fullOr('GiB of the disk', 64, 2) * GiB;

/** One of this many blocks is written. */
const SPREAD = 8;

const MAX_MEMORY = 400 * 2 ** 20;

function sparseDisk(path: string): string {
  const file = openSync(path, 'w');
  const noise = randomBytes(64 * BLOCK);
  for (let index = 0; index < SIZE / BLOCK; index += SPREAD) {
    writeSync(file, noise, (index % 64) * BLOCK, BLOCK, index * BLOCK);
  }
  ftruncateSync(file, SIZE);
  return path;
}

test(`a disk of ${SIZE / GiB} GiB, of which one eighth is data, needs little memory`, async (t) => {
  const lab = await labForTest(t);
  const image = sparseDisk(join(lab.directory, 'sparse.img'));
  const { snapshotId } = await addSnapshotOfImage(lab, image);
  const argv = ['migrate', '--all', '--dd', '--source', 'direct'];
  const { maxBytes } = await runMeasured(lab, argv, 'object.stored');
  t.diagnostic(`${Math.round(maxBytes / 2 ** 20)} MiB at most`);
  assert.ok(maxBytes < MAX_MEMORY, `${maxBytes} bytes`);
  await assertPlainEquals(lab, await keyEnding(lab, `${snapshotId}.img.lz4`), image);
});
