/** An archived root disk boots after a restore, with its own boot loader, kernel and init. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
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
import { named } from '../support/sampled.ts';
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
  firmware: Firmware;
  make: (image: string, root: string) => Promise<void>;
  /** Numbers of the partitions that are stored as tars. */
  tars: number[];
}

const GPT: RootDisk = {
  firmware: 'bios',
  make: (image, root) => makeBiosDisk(image, 'gpt', root),
  tars: [2],
};

const MBR: RootDisk = {
  firmware: 'bios',
  make: (image, root) => makeBiosDisk(image, 'dos', root),
  tars: [1],
};

const UEFI: RootDisk = { firmware: 'uefi', make: makeUefiDisk, tars: [1, 2] };

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

/** Restores the disk from its tars to a new volume. */
async function bootVolume(t: TestContext, root: string, { firmware, make, tars }: RootDisk): Promise<void> {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
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
}

/** Restores the disk from its image to a new snapshot. */
async function bootSnapshot(t: TestContext, root: string, { firmware, make }: RootDisk): Promise<void> {
  const lab = await labForTest(t);
  const image = join(lab.directory, 'disk.img');
  await make(image, root);
  const { snapshotId } = await addSnapshotOfImage(lab, image);
  const migrated = await runMigrate(lab, ['--all', '--dd', '--source', 'direct']);
  assert.equal(migrated.code, 0, migrated.stderr);
  const done = await runRestore(lab, [snapshotId, '--to-snapshot']);
  assert.equal(done.code, 0, done.stderr);
  const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
  const made = Snapshots.find(({ SnapshotId }) => SnapshotId !== snapshotId);
  assert.match(await boot(lab, imageOf(lab, made?.SnapshotId ?? ''), firmware), BOOTED[firmware]);
}

const CASES = {
  'GPT, BIOS: restored from tars to a new volume': { disk: GPT, bootRestored: bootVolume },
  'MBR, BIOS: restored from tars to a new volume': { disk: MBR, bootRestored: bootVolume },
  'GPT, UEFI: restored from tars to a new volume': { disk: UEFI, bootRestored: bootVolume },
  'GPT, BIOS: restored from an image to a new snapshot': { disk: GPT, bootRestored: bootSnapshot },
};

test('restored disks boot', { skip: process.arch !== 'x64' }, async (t) => {
  const root = join(temporaryDirectory(t), 'root');
  await makeDebianRoot(root);
  for (const [name, { disk, bootRestored }] of named(['GPT, BIOS: restored from tars to a new volume'], CASES))
    await t.test(name, (inner) => bootRestored(inner, root, disk));
});
