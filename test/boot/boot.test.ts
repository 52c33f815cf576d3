/** A root disk that was archived boots again, by its own boot loader, kernel and init. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { BOOTED, makeDebianRoot, makeRootDisk, ROOT_UUID } from '../support/debian-root.ts';
import { addSnapshotOfImage } from '../support/disks.ts';
import {
  BUCKET,
  labForTest,
  runCli,
  runMigrate,
  runProgram,
  type TestLab,
  temporaryDirectory,
} from '../support/lab.ts';
import { FULL } from '../support/sampled.ts';
import { imageOf } from '../support/tamper.ts';
import { volumeImage, volumesIn } from '../support/volumes.ts';

/** Emulated, where there is no KVM: then it takes a processor a quarter of a minute. */
const SECONDS = '300';

const TABLES = FULL ? (['gpt', 'dos'] as const) : (['gpt'] as const);

async function boot(lab: TestLab, image: string): Promise<string> {
  const machine = ['-accel', 'kvm', '-accel', 'tcg', '-cpu', 'max', '-m', '512', '-nodefaults', '-no-reboot'];
  const drive = ['-drive', `file=${image},format=raw,if=virtio,snapshot=on`];
  const argv = ['timeout', SECONDS, 'qemu-system-x86_64', ...machine, '-display', 'none', '-serial', 'stdio', ...drive];
  const done = await runProgram(argv, { env: lab.env });
  return done.stdout + done.stderr;
}

const runRestore = (lab: TestLab, argv: readonly string[]) => runCli(lab.env, ['restore', '--bucket', BUCKET, ...argv]);

test('disks boot again', { skip: process.arch !== 'x64' }, async (t) => {
  const root = join(temporaryDirectory(t), 'root');
  await makeDebianRoot(root);
  const expected = new RegExp(`${BOOTED} ${ROOT_UUID}`);

  for (const table of TABLES) {
    await t.test(`${table}, from its files, as a new volume`, async (inner) => {
      const lab = await labForTest(inner, { allowLeftovers: ['volume'] });
      const image = join(lab.directory, 'disk.img');
      await makeRootDisk(image, table, root);
      const { snapshotId } = await addSnapshotOfImage(lab, image);
      const migrated = await runMigrate(lab, ['--all']);
      assert.equal(migrated.code, 0, migrated.stderr);
      const done = await runRestore(lab, [snapshotId, '--to-volume', '--mount-point', join(lab.directory, 'mnt')]);
      assert.equal(done.code, 0, done.stderr);
      const [made] = await volumesIn(lab);
      assert.match(await boot(lab, volumeImage(lab, made?.VolumeId ?? '')), expected);
    });
  }

  if (!FULL) return;
  await t.test('gpt, from an image, as a new snapshot', async (inner) => {
    const lab = await labForTest(inner);
    const image = join(lab.directory, 'disk.img');
    await makeRootDisk(image, 'gpt', root);
    const { snapshotId } = await addSnapshotOfImage(lab, image);
    const migrated = await runMigrate(lab, ['--all', '--dd', '--source', 'direct']);
    assert.equal(migrated.code, 0, migrated.stderr);
    const done = await runRestore(lab, [snapshotId, '--to-snapshot']);
    assert.equal(done.code, 0, done.stderr);
    const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
    const made = Snapshots.find(({ SnapshotId }) => SnapshotId !== snapshotId);
    assert.match(await boot(lab, imageOf(lab, made?.SnapshotId ?? '')), expected);
  });
});
