/** An archived root disk boots after a restore, with its own boot loader, kernel and init. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { keyEnding } from '../support/archives.ts';
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
import { BOOTED, makeBiosDisk, makeDebianRoot, makeUefiDisk } from '../support/trees/debian-root.ts';
import { volumeImage, volumesIn } from '../support/volumes.ts';

/**
 * Time limit for a boot. Machines are emulated, which takes about 15 seconds of processor time. KVM is faster, but in
 * some virtual machines QEMU aborts with it ("failed to set MSR"), and in others the guest is extremely slow. Neither
 * can be detected in advance.
 */
const SECONDS = '300';

type Firmware = 'bios' | 'uefi';

interface RootDisk {
  name: string;
  firmware: Firmware;
  make: (image: string, root: string) => Promise<void>;
  /** Numbers of the partitions that are stored as tars. */
  tars: number[];
}

const GPT: RootDisk = {
  name: 'GPT, BIOS',
  firmware: 'bios',
  make: (image, root) => makeBiosDisk(image, 'gpt', root),
  tars: [2],
};

const MORE: RootDisk[] = [
  { name: 'MBR, BIOS', firmware: 'bios', make: (image, root) => makeBiosDisk(image, 'dos', root), tars: [1] },
  { name: 'GPT, UEFI', firmware: 'uefi', make: makeUefiDisk, tars: [1, 2] },
];

/** UEFI starts with the variables of a new machine, which have no boot entries, and does not save changes to them. */
const FIRMWARE: Record<Firmware, string[]> = {
  bios: [],
  uefi: [
    ...['-drive', 'if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd'],
    ...['-drive', 'if=pflash,format=raw,snapshot=on,file=/usr/share/OVMF/OVMF_VARS_4M.fd'],
  ],
};

/** @returns the line that init prints, or the end of the output if there is none. */
async function boot(lab: TestLab, image: string, firmware: Firmware): Promise<string> {
  const machine = ['-accel', 'tcg', '-cpu', 'max', '-m', '512', '-nodefaults', '-no-reboot'];
  const drives = [...FIRMWARE[firmware], '-drive', `file=${image},format=raw,if=virtio,snapshot=on`];
  const screen = ['-display', 'none', '-serial', 'stdio'];
  const argv = ['timeout', SECONDS, 'qemu-system-x86_64', ...machine, ...screen, ...drives];
  const { stdout, stderr } = await runProgram(argv, { env: lab.env });
  return /^BOOTED .*$/m.exec(stdout)?.[0] ?? (stdout + stderr).slice(-2000);
}

const runRestore = (lab: TestLab, argv: readonly string[]) => runCli(lab.env, ['restore', '--bucket', BUCKET, ...argv]);

test('restored disks boot', { skip: process.arch !== 'x64' }, async (t) => {
  const root = join(temporaryDirectory(t), 'root');
  await makeDebianRoot(root);

  for (const { name, firmware, make, tars } of FULL ? [GPT, ...MORE] : [GPT]) {
    await t.test(`${name}: restored from tars to a new volume`, async (inner) => {
      const lab = await labForTest(inner, { allowLeftovers: ['volume'] });
      const image = join(lab.directory, 'disk.img');
      await make(image, root);
      const { snapshotId } = await addSnapshotOfImage(lab, image);
      const migrated = await runMigrate(lab, ['--all']);
      assert.equal(migrated.code, 0, migrated.stderr);
      for (const partition of tars) await keyEnding(lab, `.${partition}.tar.lz4`);
      const done = await runRestore(lab, [snapshotId, '--to-volume', '--mount-point', join(lab.directory, 'mnt')]);
      assert.equal(done.code, 0, done.stderr);
      const [made] = await volumesIn(lab);
      assert.match(await boot(lab, volumeImage(lab, made?.VolumeId ?? ''), firmware), BOOTED[firmware]);
    });
  }

  if (!FULL) return;
  await t.test('restored from an image to a new snapshot', async (inner) => {
    const lab = await labForTest(inner);
    const image = join(lab.directory, 'disk.img');
    await GPT.make(image, root);
    const { snapshotId } = await addSnapshotOfImage(lab, image);
    const migrated = await runMigrate(lab, ['--all', '--dd', '--source', 'direct']);
    assert.equal(migrated.code, 0, migrated.stderr);
    const done = await runRestore(lab, [snapshotId, '--to-snapshot']);
    assert.equal(done.code, 0, done.stderr);
    const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
    const made = Snapshots.find(({ SnapshotId }) => SnapshotId !== snapshotId);
    assert.match(await boot(lab, imageOf(lab, made?.SnapshotId ?? ''), GPT.firmware), BOOTED[GPT.firmware]);
  });
});
