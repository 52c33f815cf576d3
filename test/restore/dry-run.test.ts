/** `restore --dry-run` shows the plan, refuses what a restore would refuse, and changes nothing. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import { withDevice } from '../../lab/disks/mounted.ts';
import type { RestorePlan } from '../../src/events.ts';
import { readManifest } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { writesIn } from '../support/ec2-state.ts';
import { BUCKET, type Finished, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';

const DISK = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 48, populate: fillPlainly },
    { content: 'ext4' as const, sizeMiB: 16, populate: async (root: string) => writeFileSync(join(root, 'two'), '2') },
    { content: 'random' as const, sizeMiB: 4 },
  ],
};

function planOf(done: Finished): RestorePlan {
  const planned = recordsOf(done).find(({ code }) => code === 'restore.planned');
  assert.ok(planned, done.stdout + done.stderr);
  return planned['plan'] as RestorePlan;
}

/** Returns a function that runs `restore --dry-run` and checks that it exits as expected and writes nothing. */
function dryRunIn(lab: TestLab) {
  const flags = ['--bucket', BUCKET, '--dry-run', '--mount-point', join(lab.directory, 'mnt')];
  return async (argv: readonly string[], code = 0, more = ['--json']): Promise<Finished> => {
    const before = await writesIn(lab);
    const done = await runCli(lab.env, ['restore', ...flags, ...more, ...argv]);
    assert.equal(done.code, code, `${argv.join(' ')}: ${done.stdout}${done.stderr}`);
    assert.deepEqual(await writesIn(lab), before, argv.join(' '));
    return done;
  };
}

test('images: to a file, a device, a snapshot and a volume', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, DISK);
  assert.equal((await runMigrate(lab, ['--all', '--dd', '--source', 'direct'])).code, 0);
  const dryRun = dryRunIn(lab);
  const [object] = (await readManifest(lab)).objects;
  const into = join(lab.directory, 'into');
  mkdirSync(into);
  const file = join(into, 'disk.img');

  const toFile = planOf(await dryRun([snapshotId, '--to-file', file]));
  const [planned, ...others] = toFile.objects;
  assert.deepEqual(
    [planned?.key, planned?.to, planned?.storageClass, planned?.retrieval, planned?.plainBytes, others],
    [object?.key, file, 'STANDARD', 'not-needed', 2 ** 30, []],
  );
  const [fetched, stored] = [planned?.fetchBytes ?? 0, object?.storedBytes ?? 0];
  assert.ok(fetched > 0 && fetched <= stored, `${fetched} of ${stored}`);
  const [room] = toFile.rooms;
  assert.ok((room?.neededBytes ?? 0) > 4 * 2 ** 20 && (room?.neededBytes ?? 0) < 70 * 2 ** 20, 'zeros take no room');
  assert.deepEqual(readdirSync(into), []);
  const text = await dryRun([snapshotId, '--to-file', file], 0, []);
  assert.match(
    text.stdout,
    /would restore:\n {2}vol-.*img\.lz4\n {4}to \S+disk\.img: reads .* of .*, 1\.00 GiB decompr/,
  );
  assert.match(text.stdout, /disk\.img needs at most \d.*; .* available/);
  writeFileSync(file, 'precious');
  assert.match((await dryRun([snapshotId, '--to-file', file], 1)).stdout, /already exists/);
  assert.equal(planOf(await dryRun([snapshotId, '--to-file', file, '--overwrite'])).rooms[0]?.holds, 'a file');
  assert.match((await dryRun([snapshotId, '--to-file', join(into, 'no', 'disk.img')], 1)).stdout, /could not write /);
  await dryRun([snapshotId, '--to-file', `${file}.2`, '--partition', '3'], 10);
  assert.deepEqual(readdirSync(into), ['disk.img']);
  assert.equal(readFileSync(file, 'utf8'), 'precious');

  const device = join(lab.directory, 'device.img');
  await run(['truncate', '--size', '1G', device]);
  await withDevice(device, null, { readOnly: false }, async (path) => {
    await run(['mkfs.ext4', '-q', '-F', path]);
    assert.match((await dryRun([snapshotId, '--to-device', path], 1)).stdout, /is not empty: it holds ext4/);
    const found = planOf(await dryRun([snapshotId, '--to-device', path, '--overwrite']));
    assert.deepEqual(found.rooms, [{ where: path, neededBytes: 2 ** 30, roomBytes: 2 ** 30, holds: 'ext4' }]);
    assert.match(await run(['blkid', '--probe', path]), /ext4/);
  });
  const snapshot = planOf(await dryRun([snapshotId, '--to-snapshot']));
  assert.deepEqual([snapshot.target, snapshot.rooms[0]?.roomBytes], ['snapshot', 2 ** 30]);
  const volume = planOf(await dryRun([snapshotId, '--to-volume', '--volume-size', '3']));
  assert.deepEqual([volume.objects.length, volume.rooms[0]?.roomBytes], [1, 3 * 2 ** 30]);
  await dryRun(['snap-0123456789abcdef0', '--to-snapshot'], 10);

  const key = object?.key ?? '';
  await replaceObject(lab, key, (await bytesOf(lab, key)).subarray(1));
  assert.match((await dryRun([snapshotId, '--to-snapshot'], 12)).stdout, /the manifest says/);
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
  assert.match((await dryRun([snapshotId, '--to-snapshot'], 12)).stdout, /is not in the bucket/);
});

test('files in an archive class: the required thaw and its price are shown, and not requested', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, DISK);
  assert.equal((await runMigrate(lab, ['--all', '--storage-class', 'DEEP_ARCHIVE'])).code, 0);
  const dryRun = dryRunIn(lab);
  const into = join(lab.directory, 'into');
  const toDirectory = [snapshotId, '--to-dir', into];
  const facts = new Map((await readManifest(lab)).objects.map((object) => [object.partition, object]));

  const whole = await dryRun([...toDirectory, '--yes', '--wait']);
  assert.deepEqual(
    planOf(whole).objects.map(({ partition, to, retrieval, plainBytes }) => [partition, to, retrieval, plainBytes]),
    [1, 2].map((number) => [number, join(into, String(number)), 'needed', facts.get(number)?.plainBytes]),
  );
  const offer = recordsOf(whole).find(({ code }) => code === 'thaw.offered');
  assert.deepEqual([offer?.['objects'], offer?.['tier']], [2, 'Bulk']);
  assert.ok(recordsOf(whole).some(({ code, partition }) => code === 'partition.not-restored' && partition === 3));

  const some = planOf(await dryRun([...toDirectory, '--path', 'etc/hostname']));
  assert.deepEqual(
    some.objects.map(({ partition }) => partition),
    [1],
  );
  assert.equal(some.rooms[0]?.neededBytes, 'machine\n'.length);
  await dryRun([...toDirectory, '--path', 'nowhere'], 10);
  await dryRun([...toDirectory, '--thaw-tier', 'Expedited'], 2);

  const volume = planOf(await dryRun([snapshotId, '--to-volume']));
  assert.deepEqual(
    volume.objects.map(({ partition, retrieval }) => [partition, retrieval]),
    [
      [1, 'needed'],
      [2, 'needed'],
      [3, 'needed'],
    ],
  );
  assert.ok(!readdirSync(lab.directory).includes('into'));
  mkdirSync(into);
  writeFileSync(join(into, '1'), 'a file');
  assert.match((await dryRun(toDirectory, 1)).stdout, /could not write /);
});
