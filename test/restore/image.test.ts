/** Images are restored byte for byte, or not at all. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import { partitionPlace } from '../../lab/disks/inspect.ts';
import { withDevice } from '../../lab/disks/mounted.ts';
import { keyEnding, keysIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { BUCKET, labForTest, type RunOptions, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';
import { onTerminal } from '../support/processes/terminal.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { oneIn } from '../support/sampled.ts';
import { bytesOf, imageOf } from '../support/tamper.ts';
import { until } from '../support/until.ts';
import { flagsOf, nameOf, suffixOf, WAYS } from '../support/ways.ts';

const GPT = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 48, populate: fillPlainly },
    { content: 'random' as const, sizeMiB: 4 },
  ],
};

const runRestore = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli({ ...lab.env, ...options.env }, ['restore', '--bucket', BUCKET, '--json', ...argv], options);

/** Archives the GPT disk as an image. */
async function archived(t: TestContext, flags: readonly string[], env: Record<string, string> = {}) {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, GPT);
  const done = await runMigrate(lab, ['--all', '--dd', ...flags], { env });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const into = join(lab.directory, 'restored');
  mkdirSync(into);
  return { lab, snapshotId, into, file: join(into, 'disk.img') };
}

for (const way of oneIn(3, WAYS)) {
  test(`${nameOf(way)}: to a sparse file, byte for byte`, async (t) => {
    const { flags, env } = await flagsOf(t, way);
    const { lab, snapshotId, into, file } = await archived(t, flags, env);
    await keyEnding(lab, `.img.${suffixOf(way)}`);
    assert.equal((await readManifest(lab)).source, way.source);
    const done = await runRestore(lab, [snapshotId, '--to-file', file], { env });
    assert.equal(done.code, 0, done.stdout + done.stderr);
    await assertSameBytes(file, imageOf(lab, snapshotId));
    assert.deepEqual(readdirSync(into), ['disk.img']);
    assert.ok(statSync(file).blocks * 512 < 64 * 2 ** 20, 'holes stay holes');
    const restored = recordsOf(done).find(({ code }) => code === 'object.restored');
    assert.equal(restored?.['bytes'], 2 ** 30);
  });
}

test('to an unused device that is large enough, including zeros', async (t) => {
  const { lab, snapshotId, into } = await archived(t, ['--source', 'direct']);
  const image = join(into, 'device.img');
  await run(['truncate', '--size', '1025M', image]);
  const restoreTo = (device: string, ...flags: string[]) =>
    runRestore(lab, [snapshotId, '--to-device', device, ...flags]);
  await withDevice(image, null, { readOnly: false }, async (device) => {
    assert.equal((await restoreTo(device)).code, 2, 'not without --yes');
    await run(['dd', 'if=/dev/urandom', `of=${device}`, 'bs=1M', 'seek=100', 'count=30', 'status=none']);
    const before = await run(['sha256sum', device]);
    const ask = ['restore', '--bucket', BUCKET, snapshotId, '--to-device', device];
    const declined = await onTerminal(lab.env, 'n', ask);
    assert.equal(declined.code, 1, declined.stdout);
    assert.ok(
      declined.stdout.includes(`${device} (1.00 GiB) holds nothing that blkid recognizes. Destroy its content?`),
    );
    assert.match(declined.stdout, /was not written: not confirmed/);
    assert.equal(await run(['sha256sum', device]), before);
    const done = await onTerminal(lab.env, 'y', ask);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    const again = await restoreTo(device, '--yes');
    assert.equal(again.code, 1);
    assert.match(again.stdout, /is not empty: it holds gpt/);
    assert.equal((await restoreTo(device, '--yes', '--overwrite')).code, 0);
  });
  await assertSameBytes(image, imageOf(lab, snapshotId), { bytes: 2 ** 30 });
  // The device holds an ext4 whose first sector is that of an xfs.
  const xfs = join(into, 'xfs.img');
  await run(['truncate', '--size', '400M', xfs]);
  await run(['mkfs.xfs', '-q', xfs]);
  await run(['mkfs.ext4', '-q', '-F', image]);
  await run(['dd', `if=${xfs}`, `of=${image}`, 'bs=512', 'count=1', 'conv=notrunc', 'status=none']);
  await withDevice(image, null, { readOnly: false }, async (device) => {
    assert.match((await restoreTo(device, '--yes')).stdout, /is not empty: it holds several contradictory signatures/);
  });
  await run(['truncate', '--size', '1023M', image]);
  await withDevice(image, null, { readOnly: false }, async (device) => {
    const small = await restoreTo(device, '--yes', '--overwrite');
    assert.equal(small.code, 1);
    assert.match(small.stdout, /has 1023 MiB, but the image has 1.00 GiB/);
    await run(['mkfs.ext4', '-q', '-F', device]);
    const mount = join(into, 'mnt');
    mkdirSync(mount);
    await run(['mount', device, mount]);
    try {
      assert.match((await restoreTo(device, '--yes', '--overwrite')).stdout, /is in use by .*mnt/);
    } finally {
      await run(['umount', mount]);
    }
  });
  assert.match((await restoreTo('/dev/null', '--yes')).stdout, /is not a block device/);
});

test('one partition that was stored as an image', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId, image } = await addSnapshotOf(lab, GPT);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const file = join(lab.directory, 'partition.img');
  const done = await runRestore(lab, [snapshotId, '--partition', '2', '--to-file', file]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const { start, size } = await partitionPlace(image, 2);
  await assertSameBytes(file, image, { skip: start, bytes: size });
  assert.equal(statSync(file).size, size);
  const files = await runRestore(lab, [snapshotId, '--partition', '1', '--to-file', join(lab.directory, 'other')]);
  assert.equal(files.code, 10);
  assert.match(files.stdout, /no image of partition 1.*it contains images of: 2/);
});

async function tamper(lab: TestLab, ending: string, change: (body: Buffer) => Buffer): Promise<void> {
  const Key = await keyEnding(lab, ending);
  const { Body, Metadata } = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
  const body = Buffer.from((await Body?.transformToByteArray()) ?? []);
  await lab.s3.send(
    new PutObjectCommand({ Bucket: BUCKET, Key, Body: change(body), ...(Metadata ? { Metadata } : {}) }),
  );
}

const DAMAGES: [string, (body: Buffer) => Buffer][] = [
  ['a flipped bit', (body) => body.fill((body[body.length >> 2] ?? 0) ^ 1, body.length >> 2, (body.length >> 2) + 1)],
  ['an end too early', (body) => body.subarray(0, body.length - 1000)],
  ['something behind the end', (body) => Buffer.concat([body, randomBytes(1000)])],
  ['nothing', () => Buffer.alloc(0)],
];

for (const source of oneIn(2, ['volume', 'direct'])) {
  test(`damaged, from ${source}: exit code 12, and no file`, async (t) => {
    const { lab, snapshotId, into, file } = await archived(t, ['--source', source]);
    let whole = Buffer.alloc(0);
    await tamper(lab, '.img.lz4', (body) => {
      whole = Buffer.from(body);
      return body;
    });
    for (const [name, change] of DAMAGES) {
      await tamper(lab, '.img.lz4', () => change(Buffer.from(whole)));
      const done = await runRestore(lab, [snapshotId, '--to-file', file]);
      assert.equal(done.code, 12, `${name}: ${done.stdout}${done.stderr}`);
      assert.deepEqual(readdirSync(into), [], name);
    }
  });
}

test('existing data is not overwritten; an unwritable target is reported', async (t) => {
  const { lab, snapshotId, file } = await archived(t, ['--source', 'direct']);
  writeFileSync(file, 'precious');
  const refused = await runRestore(lab, [snapshotId, '--to-file', file]);
  assert.equal(refused.code, 1);
  assert.match(refused.stdout, /already exists/);
  assert.equal((await runRestore(lab, [snapshotId, '--to-file', file, '--overwrite'])).code, 0);
  await assertSameBytes(file, imageOf(lab, snapshotId));
  await fillsItsRoom(lab, snapshotId, join(lab.directory, 'little'));
  const nowhere = await runRestore(lab, [snapshotId, '--to-file', join(lab.directory, 'not', 'there')]);
  assert.match(nowhere.stdout, /could not write .*ENOENT/);
  const unknown = await runRestore(lab, ['snap-0123456789abcdef0', '--to-file', `${file}.2`]);
  assert.equal(unknown.code, 10, unknown.stdout);
});

/** Checks that the data of an unfinished file does not count as required space. */
async function fillsItsRoom(lab: TestLab, snapshotId: string, into: string): Promise<void> {
  mkdirSync(into);
  await run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', into]);
  try {
    const target = ['--to-file', join(into, 'disk.img')];
    const full = await runRestore(lab, [snapshotId, ...target]);
    assert.equal(full.code, 1, full.stdout + full.stderr);
    const [, needed = ''] = /needs ([\d.]+) MiB; 1.00 MiB is free/.exec(full.stdout) ?? [];
    await run(['mount', '-o', `remount,size=${Math.ceil(Number(needed)) + 1}m`, into]);
    assert.equal((await runRestore(lab, [snapshotId, ...target])).code, 0);
    renameSync(join(into, 'disk.img'), join(into, 'disk.img.unfinished'));
    const again = await runRestore(lab, [snapshotId, ...target]);
    assert.equal(again.code, 0, again.stdout + again.stderr);
    const fetched = recordsOf(again).find(({ code }) => code === 'object.restored')?.['fetchedBytes'];
    assert.equal(fetched, (await readManifest(lab)).objects[0]?.index?.bytes, 'nothing but the index');
  } finally {
    await run(['umount', into]);
  }
}

test('a killed restore resumes', async (t) => {
  const { lab, snapshotId, into, file } = await archived(t, ['--source', 'direct']);
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-restore` };
  await lab.control.script({ service: 's3', operation: 'GetObject', skip: 2, times: 100, action: { kind: 'hang' } });
  const first = runRestore(lab, [snapshotId, '--to-file', file], { env });
  await until(async () => existsSync(`${file}.unfinished`));
  killFamily(env.SNAP_TO_S3_TEST_RUN);
  assertKilled(await first);
  await lab.control.clearFaults();
  assert.ok(!existsSync(file), 'nothing that looks whole');
  const done = await runRestore(lab, [snapshotId, '--to-file', file]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await assertSameBytes(file, imageOf(lab, snapshotId));
  assert.deepEqual(readdirSync(into), ['disk.img']);
});

test('archives of version 0, archives in an archive class, and broken connections', async (t) => {
  const { lab, snapshotId, file } = await archived(t, ['--compression', 'zstd', '--storage-class', 'DEEP_ARCHIVE']);
  const frozen = await runRestore(lab, [snapshotId, '--to-file', file]);
  assert.equal(frozen.code, 1);
  assert.match(frozen.stdout, /OBJECT_ARCHIVED.*Bulk: up to 48 hours.*--yes|--yes.*Bulk: up to 48 hours/);
  const key = await keyEnding(lab, '.img.zst');
  await lab.control.setDelays({ restore: 0 });
  const { RestoreObjectCommand } = await import('@aws-sdk/client-s3');
  const RestoreRequest = { Days: 1, GlacierJobParameters: { Tier: 'Bulk' as const } };
  await lab.s3.send(new RestoreObjectCommand({ Bucket: BUCKET, Key: key, RestoreRequest }));
  const action = { kind: 'cut', afterBytes: 1_000_000 } as const;
  await lab.control.script({ service: 's3', operation: 'GetObject', times: 3, skip: 1, action });
  const done = await runRestore(lab, [snapshotId, '--to-file', file]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const { Body, Metadata } = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
  const old = `vol-0123456789abcdef0/2017-06-30T22:00:00-04:00 snap-0123456789abcdef0 - a disk.img.zstd`;
  const body = Buffer.from((await Body?.transformToByteArray()) ?? []);
  const metadata = { ...Metadata, 'snapshot-snapshotid': 'snap-0123456789abcdef0' };
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: old, Body: body, Metadata: metadata }));
  const ancient = await runRestore(lab, ['snap-0123456789abcdef0', '--to-file', `${file}.old`]);
  assert.equal(ancient.code, 0, ancient.stdout + ancient.stderr);
  await assertSameBytes(`${file}.old`, imageOf(lab, snapshotId));
  assert.ok((await keysIn(lab)).includes(old));
  await refusedWhereItIsTooLarge(lab, 'snap-0123456789abcdef0', old);
});

/**
 * Checks that an image that exceeds its target is refused: before anything is written if the object's metadata has the
 * size, and otherwise during the restore.
 */
async function refusedWhereItIsTooLarge(lab: TestLab, snapshotId: string, key: string): Promise<void> {
  const small = join(lab.directory, 'small');
  mkdirSync(small);
  await run(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', small]);
  try {
    const full = await runRestore(lab, [snapshotId, '--to-file', join(small, 'disk.img')]);
    assert.equal(full.code, 1, full.stdout + full.stderr);
    assert.match(full.stdout, /needs 1\.00 GiB; 8\.00 MiB is free/);
    assert.deepEqual(readdirSync(small), []);
  } finally {
    await run(['umount', small]);
  }
  const image = join(lab.directory, 'small.img');
  await run(['truncate', '--size', '1023M', image]);
  const Metadata = { 'snapshot-snapshotid': snapshotId };
  await withDevice(image, null, { readOnly: false }, async (device) => {
    const restoreTo = () => runRestore(lab, [snapshotId, '--to-device', device, '--yes', '--overwrite']);
    const told = await restoreTo();
    assert.equal(told.code, 1, told.stdout + told.stderr);
    assert.match(told.stdout, /has 1023 MiB, but the image has 1\.00 GiB/);
    await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: await bytesOf(lab, key), Metadata }));
    // Beyond the end of the device there would only be zeros, which are not written, but the image does not fit.
    const found = await restoreTo();
    assert.equal(found.code, 1, found.stdout + found.stderr);
    assert.match(found.stdout, /has 1023 MiB, but the image has 1\.00 GiB/);
  });
  await run(['truncate', '--size', '1M', image]);
  await withDevice(image, null, { readOnly: false }, async (device) => {
    const data = zstdCompressSync(Buffer.alloc(2 * 2 ** 20, 'x'));
    await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: data, Metadata }));
    const longer = await runRestore(lab, [snapshotId, '--to-device', device, '--yes', '--overwrite']);
    assert.equal(longer.code, 1, longer.stdout + longer.stderr);
    assert.match(longer.stdout, /"code":"TARGET".*could not write .*: ENOSPC/);
  });
}
