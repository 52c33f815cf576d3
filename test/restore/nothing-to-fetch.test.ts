/** Images of which nothing has to be fetched: all zeros, or there already. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { withDevice } from '../../lab/disks/mounted.ts';
import { addSnapshotOfImage } from '../support/disks.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { imageOf } from '../support/tamper.ts';

const MiB = 2 ** 20;

/** A disk of 64 MiB that begins with noise. */
async function addDisk(lab: TestLab, name: string, noiseBytes: number): Promise<string> {
  const image = join(lab.directory, name);
  writeFileSync(image, randomBytes(noiseBytes));
  truncateSync(image, 64 * MiB);
  return (await addSnapshotOfImage(lab, image)).snapshotId;
}

test('nothing but zeros, and what is at the target already: to a file, a snapshot, and a device', async (t) => {
  const lab = await labForTest(t);
  const [blank, half] = [await addDisk(lab, 'blank.img', 0), await addDisk(lab, 'half.img', 8 * MiB)];
  const migrated = await runMigrate(lab, ['--all', '--dd']);
  assert.equal(migrated.code, 0, migrated.stderr);
  const restored = async (snapshotId: string, ...argv: string[]) => {
    const done = await runCli(lab.env, ['restore', '--bucket', BUCKET, '--json', snapshotId, ...argv]);
    assert.equal(done.code, 0, `${argv.join(' ')}: ${done.stdout}${done.stderr}`);
    return recordsOf(done);
  };
  const file = join(lab.directory, 'restored.img');
  await restored(blank, '--to-file', file);
  await assertSameBytes(file, imageOf(lab, blank));
  await restored(blank, '--to-snapshot');

  await restored(half, '--to-file', file, '--overwrite');
  // A run that was killed before it gave the file its name.
  renameSync(file, `${file}.unfinished`);
  const resumed = await restored(half, '--to-file', file);
  assert.ok(resumed.some(({ code }) => code === 'restore.continued'));
  await assertSameBytes(file, imageOf(lab, half));

  const disk = join(lab.directory, 'device.img');
  await run(['truncate', '--size', '1G', disk]);
  await withDevice(disk, null, { readOnly: false }, async (device) => {
    await restored(half, '--to-device', device, '--yes');
    await restored(half, '--to-device', device, '--yes', '--overwrite');
  });
  await assertSameBytes(disk, imageOf(lab, half), { bytes: 64 * MiB });
});
