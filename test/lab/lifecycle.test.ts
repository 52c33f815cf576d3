/** Labs as processes: starting, stopping, killing, and running several at once, with persistent state. */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  AttachVolumeCommand,
  CreateVolumeCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
} from '@aws-sdk/client-ec2';
import { LabControl } from '../../lab/control/client.ts';
import { labDown, labUp } from '../../lab/control/manage.ts';
import { run } from '../../lab/core/run.ts';
import { buildDisk } from '../../lab/disks/build.ts';
import { startLab } from '../../lab/index.ts';
import { addSnapshotOf, PLAIN_DISK } from '../support/disks.ts';
import {
  type Finished,
  labForTest,
  PROGRAM,
  runCli,
  runProgram,
  type TestLab,
  temporaryDirectory,
} from '../support/lab.ts';
import { until } from '../support/until.ts';
import { spareDeviceName } from '../support/volumes.ts';

test('up, bucket, snapshot, migrate, kill, up again, volume, down', async (t) => {
  const directory = temporaryDirectory(t);
  const base = { PATH: process.env['PATH'] ?? '', HOME: directory, SNAP_TO_S3_LAB: join(directory, 'lab') };
  const lab = async (...argv: string[]): Promise<Finished> => {
    const done = await runCli(base, ['lab', ...argv]);
    assert.equal(done.code, 0, `lab ${argv.join(' ')}: ${done.stderr}`);
    return done;
  };
  const up = JSON.parse((await lab('up', '--json')).stdout) as { pid: number };
  t.after(async () => void (await runCli(base, ['lab', 'down'])));
  await lab('bucket', 'backups');
  const image = join(directory, 'disk.img');
  await buildDisk({ path: image, ...PLAIN_DISK });
  const snapshotId = (await lab('snapshot', image, '--tag-migrate')).stdout.trim();

  const env = { ...base, ...exportsOf((await lab('env')).stdout) };
  const kept = await runCli(env, [
    'migrate',
    '--all',
    '--bucket',
    'backups',
    '--keep-temp-volumes',
    '--mount-point',
    join(directory, 'mnt'),
  ]);
  assert.equal(kept.code, 0, kept.stderr);
  assert.match((await lab('status')).stdout, /left behind: volume vol-/);
  const status = JSON.parse((await lab('status', '--json')).stdout) as Record<string, unknown>;
  assert.deepEqual(Object.keys(status), [...Object.keys(up), 'leftovers']);
  const [{ kind }] = status['leftovers'] as [{ kind: string }];
  assert.equal(kind, 'volume');
  for (const sub of ['down', 'env'])
    assert.match((await runCli(base, ['lab', sub, '--json'])).stderr, /unknown option '--json'/);

  process.kill(up.pid, 'SIGKILL');
  while (isAlive(up.pid)) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await runCli(base, ['lab', 'status'])).code, 10);
  await lab('up');
  const again = { ...base, ...exportsOf((await lab('env')).stdout) };
  const done = await runCli(again, [
    'migrate',
    '--replace',
    '--snapshots',
    snapshotId,
    '--bucket',
    'backups',
    '--mount-point',
    join(directory, 'mnt'),
  ]);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /reusing temporary volume/);
  assert.doesNotMatch((await lab('status')).stdout, /left behind/);

  const volumeId = (await lab('volume', snapshotId)).stdout.trim().split(/\s+/)[0] ?? '';
  assert.match((await lab('status')).stdout, new RegExp(`left behind: volume ${volumeId}`));
  await lab('volume', volumeId, '--delete');
  const wrong = await runCli(base, ['lab', 'volume', 'snap-00000000']);
  assert.equal(wrong.code, 10);
  assert.match(wrong.stderr, /does not exist/);
  assert.match((await lab('down')).stdout, /stopped/);
  assert.match((await lab('down')).stdout, /was not running/);
  const loops = await run(['losetup', '--list', '--noheadings', '--output', 'BACK-FILE']);
  assert.ok(!loops.includes(directory), loops);
});

test('a starting lab removes the device links of a killed lab, which restores them when it restarts', async (t) => {
  const directory = temporaryDirectory(t);
  const [first, second] = ['first', 'second'].map((name) => ({ directory: join(directory, name) })) as [Lab, Lab];
  await using _first = { [Symbol.asyncDispose]: async () => void (await labDown(first.directory)) };
  const image = join(directory, 'disk.img');
  await buildDisk({ path: image, ...PLAIN_DISK });
  const { pid, endpoints } = await labUp(first);
  const control = new LabControl(endpoints.control);
  const { snapshotId } = await control.addSnapshot({ imagePath: image });
  const { volumeId, device } = await control.addVolume(snapshotId);
  const links = linksTo(device);
  assert.deepEqual(links.length, 2, links.join());
  assert.ok(links[1]?.endsWith(volumeId.replace('-', '')), links.join());
  await (await startLab(second))[Symbol.asyncDispose]();
  assert.deepEqual(linksTo(device), links, 'links of a lab that runs stay');
  process.kill(pid, 'SIGKILL');
  while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
  await (await startLab(second))[Symbol.asyncDispose]();
  assert.deepEqual(linksTo(device), []);
  const again = new LabControl((await labUp(first)).endpoints.control);
  assert.deepEqual(linksTo(device), links);
  await again.removeVolume(volumeId);
  assert.deepEqual(linksTo(device), []);
});

type Lab = { directory: string };

/** Returns the device links of a volume that point to a loop device, in order. */
const linksTo = (device: string): string[] =>
  ['/dev', '/dev/disk/by-id'].flatMap((folder) =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isSymbolicLink() && readlinkSync(join(folder, entry.name)) === device)
      .map(({ name }) => join(folder, name))
      .sort(),
  );

test('two labs never give one device name to two volumes', async (t) => {
  const [first, second] = [await labForTest(t), await labForTest(t)];
  const device = spareDeviceName();
  const added = await Promise.all([first, second].map((lab) => addSnapshotOf(lab)));
  const attach = async ({ ec2 }: TestLab, snapshotId: string) => {
    const { VolumeId } = await ec2.send(
      new CreateVolumeCommand({ AvailabilityZone: 'us-east-1a', SnapshotId: snapshotId }),
    );
    await ec2.send(new AttachVolumeCommand({ VolumeId, Device: device, InstanceId: 'i-0123456789abcdef0' }));
    return VolumeId;
  };
  const detach = async ({ ec2, control }: TestLab, VolumeId = '') => {
    await ec2.send(new DetachVolumeCommand({ VolumeId }));
    await control.removeVolume(VolumeId);
  };
  const volumeId = await attach(first, added[0]?.snapshotId ?? '');
  // The first lab has not handled another call, so it has not created the link yet.
  await assert.rejects(attach(second, added[1]?.snapshotId ?? ''), /already in use/);
  await detach(first, volumeId);
  await detach(second, await attach(second, added[1]?.snapshotId ?? ''));
  const { Volumes = [] } = await second.ec2.send(new DescribeVolumesCommand({}));
  for (const { VolumeId = '', State } of Volumes)
    if (State === 'available') await second.control.removeVolume(VolumeId);
});

test('a device that serves another image than its volume keeps its name while other labs come up', async (t) => {
  const [first, directory] = [await labForTest(t), temporaryDirectory(t)];
  const image = join(directory, 'foreign.img');
  await buildDisk({ path: image, ...PLAIN_DISK });
  const { snapshotId } = await addSnapshotOf(first);
  await first.control.script({
    service: 'ec2',
    operation: 'AttachVolume',
    every: 1,
    action: { kind: 'behaviour', name: 'attach-foreign-device', value: image },
  });
  const { VolumeId = '' } = await first.ec2.send(
    new CreateVolumeCommand({ AvailabilityZone: 'us-east-1a', SnapshotId: snapshotId }),
  );
  const Device = spareDeviceName();
  await first.ec2.send(new AttachVolumeCommand({ VolumeId, Device, InstanceId: 'i-0123456789abcdef0' }));
  await until(async () => {
    await first.ec2.send(new DescribeVolumesCommand({}));
    return isLink(Device);
  });
  await (await startLab({ directory: join(directory, 'second') }))[Symbol.asyncDispose]();
  assert.ok(isLink(Device), 'the link of a lab that runs stays');
  await first.control.clearFaults();
  await first.control.removeVolume(VolumeId);
  assert.ok(!isLink(Device));
});

const isLink = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

test('the log of a lab records refused requests with the reason', async (t) => {
  const directory = temporaryDirectory(t);
  const { endpoints } = await labUp({ directory });
  await using _lab = { [Symbol.asyncDispose]: async () => void (await labDown(directory)) };
  await assert.rejects(new LabControl(endpoints.control).addVolume('snap-00000000'));
  assert.equal((await fetch(`${endpoints.s3}/backups/key`)).status, 403);
  const log = readFileSync(join(directory, 'lab.log'), 'utf8');
  assert.match(log, /^\S+Z control POST \/volumes: .*'snap-00000000' does not exist/m);
  assert.match(log, /^\S+Z s3 GET \/backups\/key: 403 AccessDenied: /m);
});

const exportsOf = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name = '', value = '']) => [name, value]));

/** The state is read, because a process that is being killed loses its command line before it ends. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('the lab reports that it needs root', async (t) => {
  const directory = temporaryDirectory(t);
  await run(['chmod', '755', directory]);
  const env = { PATH: process.env['PATH'] ?? '', HOME: directory };
  const done = await runProgram(
    ['setpriv', '--reuid=65534', '--clear-groups', process.execPath, PROGRAM, 'lab', 'up'],
    { env },
  );
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, /needs root[\s\S]*sudo/);
});
