/** Old disks are recreated on volumes, and `migrate` reports those that cannot be. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { buildDisk } from '../../lab/disks/build.ts';
import { partitionPlace, withMounted } from '../../lab/disks/inspect.ts';
import { withDevice, withFilesystem } from '../../lab/disks/mounted.ts';
import type { Manifest } from '../../src/archive/manifest.ts';
import { readGeometry } from '../../src/host/filesystems/filesystem-geometry.ts';
import { keyEnding, readManifest } from '../support/archives.ts';
import { addSnapshotOfImage, fillPlainly } from '../support/disks.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, type TestLab, temporaryDirectory } from '../support/lab.ts';
import { pathWithout } from '../support/processes/search-path.ts';
import { imageOf, replaceObject } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { volumeImage, volumesIn } from '../support/volumes.ts';

interface OldPartition {
  type: string;
  sizeMiB: number;
  made: string[];
  /** `null` if the command `made` also writes the files. */
  fill: ((root: string) => Promise<unknown>) | null;
}

/** @param tool stands in for a program of this machine while the archive is made. */
async function archived(
  t: TestContext,
  partitions: readonly OldPartition[],
  tool: { name: string; script: string } | null = null,
) {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const image = join(lab.directory, 'old.img');
  const empty = partitions.map(({ sizeMiB }) => ({ content: 'empty' as const, sizeMiB }));
  await buildDisk({ path: image, table: 'gpt', partitions: empty });
  for (const [index, { type, made, fill }] of partitions.entries()) {
    await withDevice(image, await partitionPlace(image, index + 1), { readOnly: false }, async (device) => {
      await run([...made, device]);
      if (fill) await withFilesystem(device, type, {}, fill);
    });
  }
  const { snapshotId } = await addSnapshotOfImage(lab, image);
  const env = tool === null ? {} : { PATH: pathWithout(lab, tool.name, tool.script) };
  const done = await runMigrate({ ...lab, env: { ...lab.env, ...env } }, ['--all', '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const told = recordsOf(done).filter(({ code }) => code === 'partition.obstacle');
  return { lab, snapshotId, told };
}

const restore = (lab: TestLab, ...argv: string[]) => {
  const mounts = ['--mount-point', join(lab.directory, 'mnt')];
  return runCli(lab.env, ['restore', '--bucket', BUCKET, '--json', '--to-volume', ...mounts, ...argv]);
};

const SMALL: OldPartition[] = [
  { type: 'xfs', sizeMiB: 64, made: ['mkfs.xfs', '-q', '--unsupported', '-m', 'bigtime=0'], fill: fillPlainly },
  { type: 'ext2', sizeMiB: 16, made: ['mke2fs', '-q', '-F', '-t', 'ext2', '-r', '0', '-O', 'none'], fill: fillPlainly },
  {
    type: 'btrfs',
    sizeMiB: 110,
    made: ['mkfs.btrfs', '-q', '-m', 'single', '-O', '^no-holes', '-R', '^free-space-tree'],
    fill: fillPlainly,
  },
];

test('small and old filesystems are recreated with their parameters', async (t) => {
  const { lab, snapshotId, told } = await archived(t, SMALL);
  assert.deepEqual(told, []);
  const done = await restore(lab, snapshotId);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.deepEqual(
    recordsOf(done).filter(({ code }) => code === 'filesystem.simplified'),
    [],
  );
  const [made] = await volumesIn(lab);
  const [before, after] = [imageOf(lab, snapshotId), volumeImage(lab, made?.VolumeId ?? '')];
  const geometryOf = async (image: string, number: number, type: string) =>
    withDevice(image, await partitionPlace(image, number), { readOnly: true }, async (device) =>
      readGeometry(type, device),
    );
  for (const [index, { type }] of SMALL.entries()) {
    const number = index + 1;
    assert.deepEqual(await geometryOf(after, number, type), await geometryOf(before, number, type), type);
    await withMounted(before, number, (one) =>
      withMounted(after, number, async (other) => assert.deepEqual((await compareTrees(one, other)).list, [], type)),
    );
  }
});

test('parameters that mkfs refuses are left out; migrate, a dry run and restore name them', async (t) => {
  const made = ['mke2fs', '-q', '-F', '-t', 'ext4', '-J', 'size=4', '-G', '8'];
  const script = `#!/bin/sh
case " $* " in *' -J '*) echo 'the journal is too small' >&2; exit 1;; esac
exec /usr/sbin/mke2fs "$@"
`;
  const picky = { name: 'mke2fs', script };
  const old = { type: 'ext4', sizeMiB: 64, made, fill: fillPlainly };
  const { lab, snapshotId, told: warned } = await archived(t, [old], picky);
  assert.deepEqual(
    warned.map(({ partition, isCertain }) => [partition, isCertain]),
    [[1, false]],
  );
  const why = /^ext4 would be created without -J size=4 .*refuses the original parameters: the journal is too small$/;
  assert.match(String(warned[0]?.['reason']), why);
  assert.match((await readManifest(lab)).objects[0]?.volumeObstacle ?? '', why);

  const env = { PATH: pathWithout(lab, picky.name, picky.script) };
  for (const [argv, isMade] of [[['--dry-run'], false] as const, [[], true] as const]) {
    const done = await restore({ ...lab, env: { ...lab.env, ...env } }, snapshotId, ...argv);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    const told = recordsOf(done).filter(({ code }) => code === 'filesystem.simplified');
    assert.equal(told.length, 1, done.stdout);
    const { partition, filesystem, omitted, added, reason, volume } = told[0] ?? {};
    assert.deepEqual([partition, filesystem, added, reason], [1, 'ext4', [], 'the journal is too small']);
    assert.match(String(omitted), /^-J size=4,-E hash_seed=[0-9a-f-]{36},-G 8$/);
    assert.equal(volume !== null, isMade);
  }
});

/** Creates a subvolume with one file, and three snapshots of the subvolume, which share its blocks. */
async function shareBlocks(root: string): Promise<void> {
  await run(['btrfs', 'subvolume', 'create', join(root, 'home')]);
  writeFileSync(join(root, 'home', 'data'), randomBytes(50_000_000));
  for (const name of ['monday', 'tuesday', 'wednesday'])
    await run(['btrfs', 'subvolume', 'snapshot', '-r', join(root, 'home'), join(root, name)]);
}

test('subvolume snapshots whose files exceed the filesystem are reported by migrate, and refused before anything is created', async (t) => {
  const sharing = { type: 'btrfs', sizeMiB: 150, made: ['mkfs.btrfs', '-q'], fill: shareBlocks };
  const { lab, snapshotId, told } = await archived(t, [sharing]);
  assert.deepEqual(
    told.map(({ partition, isCertain }) => [partition, isCertain]),
    [[1, true]],
  );
  const manifest = await readManifest(lab);
  const [object] = manifest.objects;
  assert.equal(object?.contentBytes, 200_000_000);
  assert.match(object?.volumeObstacle ?? '', /more than the 150 MiB/);
  for (const argv of [[snapshotId, '--dry-run'], [snapshotId]]) {
    const refused = await restore(lab, ...argv);
    assert.equal(refused.code, 1, refused.stdout);
    assert.match(refused.stdout, /the files of partition 1 do not fit: .*--to-dir/);
  }
  const calls = await lab.control.calls();
  assert.equal(calls.filter(({ operation }) => operation === 'CreateVolume').length, 1, 'only that of the migration');
  // Manifests of earlier versions have no `contentBytes`: the restore runs out of space and deletes its volume.
  const objects = manifest.objects.map(({ contentBytes: _, ...rest }) => rest);
  await replaceObject(lab, await keyEnding(lab, '.manifest.json'), bytesOfManifest({ ...manifest, objects }));
  const failed = await restore(lab, snapshotId);
  assert.equal(failed.code, 1, failed.stdout);
  assert.match(failed.stdout, /No space left.*the unfinished volume is deleted/);
  assert.deepEqual(await volumesIn(lab), []);
});

/** Whether the kernel of this machine can write to ext4 with quotas. Without CONFIG_QFMT_V2, it can only read it. */
async function canFillQuotas(lab: TestLab): Promise<boolean> {
  const [image, mountPoint] = [join(lab.directory, 'quota.img'), join(lab.directory, 'quota')];
  mkdirSync(mountPoint);
  await run(['truncate', '--size', '64M', image]);
  await run(['mke2fs', '-q', '-F', '-t', 'ext4', '-O', 'quota', image]);
  return run(['unshare', '--mount', 'mount', '-o', 'loop,rw', image, mountPoint]).then(
    () => true,
    () => false,
  );
}

test('features that the kernel can only read are reported by migrate, and refused before anything is created', async (t) => {
  const made = ['mke2fs', '-q', '-F', '-t', 'ext4', '-O', 'quota,project', '-d'];
  const source = temporaryDirectory(t);
  await fillPlainly(source);
  const { lab, snapshotId, told } = await archived(t, [
    { type: 'ext4', sizeMiB: 32, made: [...made, source], fill: null },
    { type: 'ext4', sizeMiB: 32, made: ['mke2fs', '-q', '-F', '-t', 'ext4'], fill: fillPlainly },
  ]);
  const isFilled = await canFillQuotas(lab);
  assert.deepEqual(
    told.map(({ partition, isCertain }) => [partition, isCertain]),
    isFilled ? [] : [[1, false]],
  );
  const reason = /the kernel of this machine \(.*\) cannot mount ext4 read-write with its features \(quota, project\)/;
  const { objects } = await readManifest(lab);
  assert.equal(reason.test(objects[0]?.volumeObstacle ?? ''), !isFilled);
  for (const argv of [[snapshotId, '--dry-run'], [snapshotId]]) {
    const done = await restore(lab, ...argv);
    assert.equal(done.code, isFilled ? 0 : 1, done.stdout);
    assert.equal(reason.test(done.stdout), !isFilled, done.stdout);
  }
  assert.equal((await volumesIn(lab)).length, isFilled ? 1 : 0);
});

const bytesOfManifest = (manifest: Manifest): Buffer => Buffer.from(JSON.stringify(manifest));
