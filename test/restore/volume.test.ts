/** Archives become new EBS volumes with everything that they record about the disk; failures leave no volume. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DeleteObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import type { DiskPlan } from '../../lab/disks/build.ts';
import { partitionPlace, withMounted } from '../../lab/disks/inspect.ts';
import { withDevice } from '../../lab/disks/mounted.ts';
import { keyEnding, keysIn } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, labForTest, type RunOptions, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';
import { pathWithout } from '../support/processes/search-path.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { bytesOf, imageOf, replaceObject } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';
import { volumeImage, volumesIn } from '../support/volumes.ts';

type Plan = Pick<DiskPlan, 'table' | 'partitions' | 'bootCode'>;

const nasty = (root: string) => makeNastyTree(join(root, 'nasty'));

const GPT: Plan = {
  table: 'gpt',
  bootCode: Buffer.alloc(440, 'boot code '),
  partitions: [
    { content: 'bios-boot', sizeMiB: 1 },
    { content: 'vfat', sizeMiB: 40, label: 'ESP', uuid: 'ABCD1234', populate: fillPlainly },
    { content: 'ext4', sizeMiB: 600, label: 'root', populate: nasty },
    { content: 'xfs', sizeMiB: 310, label: 'data', populate: fillPlainly },
    { content: 'swap', sizeMiB: 8, label: 'paging' },
  ],
};

const DOS: Plan = {
  table: 'dos',
  bootCode: Buffer.alloc(440, 'boot code '),
  partitions: [
    { content: 'ext3', sizeMiB: 48, label: 'boot', populate: fillPlainly },
    { content: 'luks', sizeMiB: 2 },
    { content: 'ext2', sizeMiB: 16, populate: fillPlainly, logical: true },
    { content: 'btrfs', sizeMiB: 120, label: 'pool', populate: fillPlainly, logical: true },
  ],
};

const NONE: Plan = { table: 'none', partitions: [{ content: 'ext4', sizeMiB: 48, populate: fillPlainly }] };

const runRestore = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli(
    { ...lab.env, ...options.env },
    ['restore', '--bucket', BUCKET, '--json', '--to-volume', '--wait-limit', '30', ...mountsIn(lab), ...argv],
    options,
  );

const mountsIn = (lab: TestLab): string[] => ['--mount-point', join(lab.directory, 'mnt')];

async function archived(t: TestContext, plan: Plan, flags: readonly string[] = [], fixture = {}) {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const tags = { 'snap-to-s3': 'migrate', Name: 'web', 'cost centre': '4711' };
  const { snapshotId } = await addSnapshotOf(lab, plan, { tags, ...fixture });
  if (plan.table === 'dos') writeGap(imageOf(lab, snapshotId));
  const done = await runMigrate(lab, ['--all', ...flags]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  return { lab, snapshotId };
}

/** Fills the gap before the first partition, where the second stage of a boot loader is. */
function writeGap(image: string): void {
  const descriptor = openSync(image, 'r+');
  writeSync(descriptor, randomBytes(50_000), 0, 50_000, 512);
  closeSync(descriptor);
}

/** Returns the image of the only volume. */
async function restored(lab: TestLab): Promise<string> {
  const [made, ...others] = await volumesIn(lab);
  assert.deepEqual(others, []);
  assert.equal(made?.State, 'available');
  return volumeImage(lab, made?.VolumeId ?? '');
}

/** Returns what sfdisk and blkid report about a disk, without its name. */
async function describe(image: string, numbers: readonly (number | null)[]): Promise<unknown> {
  const table = numbers[0] === null ? '' : await run(['sfdisk', '--dump', image]);
  const filesystems: string[] = [];
  for (const number of numbers) {
    const place = number === null ? null : await partitionPlace(image, number);
    const tags = ['TYPE', 'UUID', 'LABEL', 'VERSION'].flatMap((name) => ['--match-tag', name]);
    filesystems.push(
      await withDevice(image, place, { readOnly: true }, async (device) =>
        (await run(['blkid', '--probe', ...tags, device], [0, 2])).replace(/^\S+:/, ''),
      ),
    );
  }
  return { table: table.replaceAll(image, 'disk').replace(/last-lba.*\n/, ''), filesystems };
}

function firstBytes(image: string, length: number): Buffer {
  const descriptor = openSync(image, 'r');
  const bytes = Buffer.alloc(length);
  readSync(descriptor, bytes, 0, length, 0);
  closeSync(descriptor);
  return bytes;
}

/** Returns the partition numbers. Logical partitions are numbered from 5. */
function numbersOf({ table, partitions }: Plan): (number | null)[] {
  if (table === 'none') return [null];
  const primary = partitions.filter(({ logical }) => !logical).length;
  return partitions.map(({ logical }, index) => (logical ? index - primary + 5 : index + 1));
}

async function compareDisks(lab: TestLab, snapshotId: string, plan: Plan, volume: string): Promise<void> {
  const before = imageOf(lab, snapshotId);
  const numbers = numbersOf(plan);
  assert.deepEqual(await describe(volume, numbers), await describe(before, numbers));
  const length = plan.table === 'dos' ? 2 ** 20 : 446;
  assert.ok(firstBytes(volume, length).equals(firstBytes(before, length)), 'boot code');
  for (const [index, { content, populate }] of plan.partitions.entries()) {
    const number = numbers[index] ?? null;
    if (!populate) continue;
    await withMounted(before, number, (one) =>
      withMounted(volume, number, async (other) => {
        const { list, compared } = await compareTrees(one, other);
        assert.deepEqual(list, [], content);
        assert.ok(compared > 3);
      }),
    );
  }
}

test('GPT with ESP, ext4, xfs and swap: table, names, files and boot code are restored', async (t) => {
  const { lab, snapshotId } = await archived(t, GPT);
  const done = await runRestore(lab, [snapshotId], { env: { TZ: 'Asia/Tokyo' } });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const volume = await restored(lab);
  await compareDisks(lab, snapshotId, GPT, volume);
  const [one, other] = [await bytesAt(volume, 1), await bytesAt(imageOf(lab, snapshotId), 1)];
  assert.ok(one.equals(other), 'the partition of the boot loader');
  const [made] = await volumesIn(lab);
  assert.deepEqual(new Map(made?.Tags?.map(({ Key, Value }) => [Key, Value])), TAGS(snapshotId));
  assert.equal(recordsOf(done).find(({ code }) => code === 'volume.restored')?.['volume'], made?.VolumeId);
});

const TAGS = (snapshotId: string) =>
  new Map([
    ['Name', 'web'],
    ['cost centre', '4711'],
    ['snap-to-s3-restored-from', snapshotId],
  ]);

async function bytesAt(image: string, partition: number): Promise<Buffer> {
  const { start, size } = await partitionPlace(image, partition);
  return firstBytes(image, start + size).subarray(start);
}

for (const plan of [DOS, NONE]) {
  test(`${plan.table}: partitions, content without a filesystem, and the code before the first partition`, async (t) => {
    const { lab, snapshotId } = await archived(t, plan);
    const done = await runRestore(lab, [snapshotId, '--volume-size', '2', '--volume-type', 'gp2']);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    const volume = await restored(lab);
    await compareDisks(lab, snapshotId, plan, volume);
    const [made] = await volumesIn(lab);
    assert.deepEqual([made?.Size, made?.VolumeType, made?.Encrypted], [2, 'gp2', false]);
  });
}

test('images are restored byte for byte, and encrypted if the original disk was', async (t) => {
  const { lab, snapshotId } = await archived(t, GPT_SMALL, ['--dd', '--source', 'direct'], { encrypted: true });
  const done = await runRestore(lab, [snapshotId]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await assertSameBytes(await restored(lab), imageOf(lab, snapshotId));
  assert.equal((await volumesIn(lab))[0]?.Encrypted, true);
});

const GPT_SMALL: Plan = {
  table: 'gpt',
  partitions: [
    { content: 'ext4', sizeMiB: 48, populate: fillPlainly },
    { content: 'random', sizeMiB: 4 },
  ],
};

test('the sealed manifest of an encrypted archive is opened', async (t) => {
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, 'ops@example.com');
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const many = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`tag ${index}`, `a, b; ${index}!`]));
  const { snapshotId } = await addSnapshotOf(lab, GPT_SMALL, { tags: { mine: 'migrate', ...many } });
  const migrated = await runMigrate(lab, ['--all', '--tag', 'mine', '--gpg-recipient', 'ops@example.com'], { env });
  assert.equal(migrated.code, 0, migrated.stderr);
  const refused = await runRestore(lab, [snapshotId], { env: { GNUPGHOME: await gpgHome(t) } });
  assert.match(refused.stdout, /"code":"GPG_KEY"/);
  assert.deepEqual(await volumesIn(lab), []);
  const done = await runRestore(lab, [snapshotId, '--tag', 'mine'], { env });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.deepEqual(await describe(await restored(lab), [1]), await describe(imageOf(lab, snapshotId), [1]));
  const tags = Object.fromEntries((await volumesIn(lab))[0]?.Tags?.map(({ Key, Value }) => [Key, Value]) ?? []);
  assert.deepEqual(tags, { ...many, 'snap-to-s3-restored-from': snapshotId }, 'the sealed ones, all and as they were');
});

test('a failure leaves no volume', async (t) => {
  const { lab, snapshotId } = await archived(t, GPT_SMALL);
  const fails = async (name: string, code: number, pattern: RegExp, argv: string[] = [], options: RunOptions = {}) => {
    const done = await runRestore(lab, [snapshotId, ...argv], options);
    await lab.control.clearFaults();
    assert.equal(done.code, code, `${name}: ${done.stdout}${done.stderr}`);
    assert.match(done.stdout + done.stderr, pattern, name);
    assert.deepEqual(await volumesIn(lab), [], name);
  };
  const fault = (operation: string, action: object) =>
    lab.control.script({ service: 'ec2', operation, times: 100, action } as never);
  await fails('no size', 2, /must be a whole number/, ['--volume-size', '0']);
  await fault('CreateVolume', { kind: 'error', code: 'UnauthorizedOperation', status: 403 });
  await fails('not allowed', 1, /ACCESS_DENIED/);
  await fault('CreateVolume', { kind: 'behaviour', name: 'volume-error', value: '' });
  await fails('a volume in state error', 1, /VOLUME_FAILED/);
  await fault('AttachVolume', { kind: 'behaviour', name: 'stuck-attaching', value: '' });
  await fails('an attachment that never comes', 1, /ATTACH_STUCK/, ['--wait-limit', '1']);
  await fault('CreateTags', { kind: 'error', code: 'UnauthorizedOperation', status: 403 });
  await fails('tags that are refused', 1, /ACCESS_DENIED/);
  const made = await volumesMade(lab);
  await fails('no program', 1, /not installed: sync/, [], { env: { PATH: pathWithout(lab, 'sync') } });
  await fails('a program that fails', 1, /ext4 cannot be created/, [], {
    env: { PATH: pathWithout(lab, 'mke2fs', '#!/bin/sh\necho no >&2\nexit 1\n') },
  });
  assert.equal(await volumesMade(lab), made, 'what can be refused before is');
  const key = await keyEnding(lab, '.1.tar.lz4');
  const bytes = await bytesOf(lab, key);
  await replaceObject(lab, key, bytes.subarray(0, bytes.length / 2));
  await fails('half an object', 12, /DIFFERS.*the unfinished volume is deleted/);
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  await replaceObject(lab, key, bytes);
  await fails('a damaged object', 12, /DIFFERS.*the unfinished volume is deleted/);
});

const volumesMade = async (lab: TestLab): Promise<number> =>
  (await lab.control.calls()).filter(({ operation }) => operation === 'CreateVolume').length;

/** Makes all downloads of an object hang. */
async function hangAt(lab: TestLab, ending: string): Promise<void> {
  const match = { key: await keyEnding(lab, ending) };
  await lab.control.script({ service: 's3', operation: 'GetObject', match, every: 1, action: { kind: 'hang' } });
}

for (const moment of ['"volume.attached"', '"object.progress"']) {
  test(`Ctrl+C at ${moment} releases everything`, async (t) => {
    const { lab, snapshotId } = await archived(t, GPT_SMALL);
    await hangAt(lab, '.1.tar.lz4');
    const done = await runRestore(lab, [snapshotId], {
      onLine: (line, signal) => {
        if (line.includes(moment)) signal('SIGINT');
      },
    });
    await lab.control.clearFaults();
    assert.equal(done.code, 130, done.stdout + done.stderr);
    assert.deepEqual(await volumesIn(lab), []);
  });
}

test('the volume of a killed restore is found by clean and by the next restore; that of a running one is kept', async (t) => {
  const { lab, snapshotId } = await archived(t, GPT_SMALL);
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-restore` };
  const killed = async () => {
    let shown: Promise<string> = Promise.resolve('');
    assertKilled(
      await runRestore(lab, [snapshotId], {
        env,
        onLine: (line) => {
          if (!line.includes('"object.restored"')) return;
          shown = clean(lab, ['--yes']).finally(() => killFamily(env.SNAP_TO_S3_TEST_RUN));
        },
      }),
    );
    return shown;
  };
  await hangAt(lab, '.2.img.lz4');
  assert.match(await killed(), /"obstacle":"a restore is writing to it"/);
  assert.equal((await volumesIn(lab)).length, 1);
  assert.match(await clean(lab, ['--yes']), /"clean.removed".*"kind":"volume"/);
  assert.deepEqual(await lab.control.leftovers(), []);
  await killed();
  await lab.control.clearFaults();
  const done = await runRestore(lab, [snapshotId]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await compareDisks(lab, snapshotId, GPT_SMALL, await restored(lab));
});

async function clean(lab: TestLab, argv: string[]): Promise<string> {
  const flags = ['--bucket', BUCKET, '--older-than', '0', '--json', '--wait-limit', '30', ...mountsIn(lab)];
  return (await runCli(lab.env, ['clean', ...flags, ...argv])).stdout;
}

test('an image of version 0 becomes a volume or snapshot with the disk size in its metadata', async (t) => {
  const { lab, snapshotId } = await archived(t, GPT_SMALL, ['--dd']);
  const Key = await keyEnding(lab, '.img.lz4');
  const { Metadata: { 'archive-format': _, ...Metadata } = {} } = await lab.s3.send(
    new HeadObjectCommand({ Bucket: BUCKET, Key }),
  );
  const old = Key.replace('.img.lz4', ' - nightly.img.lz4');
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: old, Body: await bytesOf(lab, Key), Metadata }));
  for (const other of (await keysIn(lab)).filter((key) => key !== old))
    await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: other }));
  const done = await runRestore(lab, [snapshotId]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await assertSameBytes(await restored(lab), imageOf(lab, snapshotId));
  const made = await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--json', '--to-snapshot']);
  assert.equal(made.code, 0, made.stdout + made.stderr);
  const id = String(recordsOf(made).find(({ code }) => code === 'object.restored')?.['target']);
  await assertSameBytes(imageOf(lab, id), imageOf(lab, snapshotId));
});
