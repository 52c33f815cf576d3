/** Objects from which nothing is fetched: they are all zeros, or their data exists already or was not requested. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { withDevice } from '../../lab/disks/mounted.ts';
import { keysIn } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage } from '../support/disks.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { imageOf } from '../support/tamper.ts';

const MiB = 2 ** 20;

/** Adds a snapshot of a disk of 64 MiB that begins with noise. Returns its id. */
async function addDisk(lab: TestLab, name: string, noiseBytes: number): Promise<string> {
  const image = join(lab.directory, name);
  writeFileSync(image, randomBytes(noiseBytes));
  truncateSync(image, 64 * MiB);
  return (await addSnapshotOfImage(lab, image)).snapshotId;
}

test('an image of only zeros, and data that the target already has: to a file, a snapshot and a device', async (t) => {
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
  // This is the state after a run that was killed before it renamed the file.
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

const partition = (...names: string[]) => ({
  content: 'ext4' as const,
  sizeMiB: 16,
  populate: async (root: string) => {
    for (const name of names) writeFileSync(join(root, name), name);
  },
});

/** Only the second partition has the file `second`. */
const TWO_PARTITIONS = { table: 'gpt' as const, partitions: [partition('both'), partition('both', 'second')] };

for (const codec of ['lz4', 'zstd']) {
  for (const recipients of [[], ['--gpg-recipient', 'ops@example.com']]) {
    const kind = [codec, ...(recipients.length > 0 ? ['encrypted'] : [])].join(', ');
    test(`${kind}: a file of only one of two partitions, and a resumed restore whose first partition is complete`, async (t) => {
      const lab = await labForTest(t);
      const env = { GNUPGHOME: await gpgHome(t) };
      if (recipients.length > 0) await addKey(env.GNUPGHOME, 'ops@example.com');
      const { snapshotId } = await addSnapshotOf(lab, TWO_PARTITIONS);
      const migrated = await runMigrate(lab, ['--all', '--compression', codec, ...recipients], { env });
      assert.equal(migrated.code, 0, migrated.stderr);
      const restore = (into: string, path: string) =>
        runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--json', '--to-dir', into, '--path', path], {
          env,
        });
      const one = join(lab.directory, 'one');
      const done = await restore(one, 'second');
      assert.equal(done.code, 0, done.stdout);
      assert.deepEqual(readdirSync(one, { recursive: true }).sort(), ['1', '2', '2/second']);

      const both = join(lab.directory, 'both');
      const key = (await keysIn(lab)).find((name) => name.includes('.2.tar.')) ?? '';
      const fault = { service: 's3', operation: 'GetObject', match: { key } } as const;
      await lab.control.script({ ...fault, times: 100, action: { kind: 'error', code: 'AccessDenied' } });
      assert.equal((await restore(both, 'both')).code, 1);
      await lab.control.clearFaults();
      const resumed = await restore(both, 'both');
      assert.equal(resumed.code, 0, resumed.stdout);
      assert.ok(recordsOf(resumed).some(({ code, files }) => code === 'restore.continued' && files === 1));
      for (const number of ['1', '2']) assert.equal(readFileSync(join(both, number, 'both'), 'utf8'), 'both');
    });
  }
}
