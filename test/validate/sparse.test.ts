/** Files that consist mainly of holes, up to the maximum size, are validated without reading the holes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withDevice, withFilesystem } from '../../lab/disks/mounted.ts';
import { checkStored } from '../support/archived-object.ts';
import { readManifest } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, runCli, runMigrate, runValidate } from '../support/lab.ts';

/** The maximum size of a file on XFS. */
const LONGEST = 2n ** 63n - 1n;

/** Writes with `dd`, which can seek to positions that Node cannot represent as numbers. */
const writeAt = (file: string, position: bigint, text: string): void => {
  const argv = [`of=${file}`, `seek=${position}`, 'oflag=seek_bytes', 'conv=notrunc', 'status=none'];
  execFileSync('dd', argv, { input: text });
};

const withXfs = (image: string, use: (root: string) => Promise<void>) =>
  withDevice(image, null, { readOnly: false }, (device) =>
    withFilesystem(device, 'xfs', { mountOptions: 'nouuid' }, use),
  );

test('sparse files of 1.2 TB and 8 EiB are archived, validated and restored', { timeout: 300_000 }, async (t) => {
  const lab = await labForTest(t);
  const populate = async (directory: string) => {
    writeAt(join(directory, 'lastlog'), 2n ** 39n, 'middle');
    truncateSync(join(directory, 'lastlog'), 1.2e12);
    writeAt(join(directory, 'longest'), LONGEST - 3n, 'end');
    writeAt(join(directory, 'longest'), 2n ** 53n + 1n, 'odd');
  };
  const disk = await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'xfs', sizeMiB: 320, populate }] });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const validated = await runValidate(lab, ['--all']);
  assert.equal(validated.code, 0, validated.stderr);

  const [object] = (await readManifest(lab)).objects;
  assert.ok(object);
  const listed = await runCli(lab.env, ['list', '--bucket', BUCKET, '--json', '--find', 'longest']);
  assert.match(listed.stdout, new RegExp(`"size":${LONGEST}[,}]`));

  await withXfs(disk.image, async (root) => {
    const target = join(root, 'restored');
    const argv = ['restore', disk.snapshotId, '--bucket', BUCKET, '--to-dir', target];
    const restored = await runCli(lab.env, argv);
    assert.equal(restored.code, 0, restored.stderr);
    assert.equal(lstatSync(join(target, 'longest'), { bigint: true }).size, LONGEST);
    rmSync(target, { recursive: true });
    writeAt(join(root, 'lastlog'), 2n ** 40n + 12_345n, 'hidden');
    writeAt(join(root, 'longest'), 2n ** 62n + 1n, 'hidden');
  });
  await withXfs(disk.image, async (root) => {
    const { differences } = await checkStored(lab, disk.snapshotId, root, object, { withFacts: true });
    const found = differences.filter(({ kind }) => kind === 'content').map(({ path }) => path);
    assert.deepEqual(found.sort(), ['lastlog', 'longest'], 'what the archive says is a hole has data on the disk');
  });
});
