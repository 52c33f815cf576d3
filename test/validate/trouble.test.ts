/** Problems with S3, the network, credentials or archive classes lead to one clear message and leave nothing behind. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectCommand, RestoreObjectCommand } from '@aws-sdk/client-s3';
import type { FaultSpec } from '../../lab/core/contract.ts';
import { keyEnding } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { BUCKET, labForTest, runMigrate, runValidate } from '../support/lab.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';

const NOISE = {
  table: 'none' as const,
  partitions: [
    {
      content: 'ext4' as const,
      sizeMiB: 64,
      populate: async (directory: string) => writeFileSync(join(directory, 'noise'), randomBytes(30_000_000)),
    },
  ],
};

test('connections that break every 7 MiB are resumed', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab, NOISE);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  await lab.control.script({
    service: 's3',
    operation: 'GetObject',
    every: 1,
    action: { kind: 'cut', afterBytes: 7 * 2 ** 20 },
  });
  const done = await runValidate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  const reads = (await lab.control.calls()).filter(({ operation }) => operation === 'GetObject');
  assert.ok(reads.length >= 7, `${reads.length} reads`);
});

test('connections that always break after one byte make the run fail', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const action = { kind: 'cut', afterBytes: 1 } as const;
  const key = await keyEnding(lab, '.tar.lz4');
  await lab.control.script({ service: 's3', operation: 'GetObject', match: { key }, every: 1, action });
  const done = await runValidate(lab, ['--all']);
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, /failed after .*could not read s3:\/\/backups\/vol-/);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
});

const REFUSED: [string, FaultSpec, RegExp][] = [
  [
    '403',
    { service: 's3', operation: 'GetObject', every: 1, action: { kind: 'error', code: 'AccessDenied' } },
    /AccessDenied|not allowed|403/,
  ],
  [
    'a 403 response to HEAD, which does not mean that the object is missing',
    { service: 's3', operation: 'HeadObject', every: 1, action: { kind: 'error', code: 'AccessDenied' } },
    /403|AccessDenied/,
  ],
  [
    'expired credentials',
    { service: 's3', operation: 'GetObject', every: 1, action: { kind: 'error', code: 'ExpiredToken', status: 400 } },
    /[Ee]xpired/,
  ],
  [
    'a permanent error',
    { service: 's3', operation: 'GetObject', every: 1, action: { kind: 'error', code: 'InternalError' } },
    /InternalError/,
  ],
];

for (const [what, fault, says] of REFUSED) {
  test(`${what}: there is one clear message`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab);
    assert.equal((await runMigrate(lab, ['--all'])).code, 0);
    await lab.control.script(fault);
    const done = await runValidate(lab, ['--all', '--quiet']);
    assert.equal(done.code, 1, done.stderr);
    assert.match(done.stderr, says);
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
  });
}

test('a missing archive is reported', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': 'migrated' } });
  const done = await runValidate(lab, ['--all', '--quiet']);
  assert.equal(done.code, 10, done.stderr);
  assert.match(done.stderr, new RegExp(`there is no archive of ${snapshotId} in ${BUCKET}`));
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
});

test('an archive without its manifest is refused, but the existing objects can be compared', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: await keyEnding(lab, '.manifest.json') }));
  const refused = await runValidate(lab, ['--all']);
  assert.equal(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /has no manifest and is unfinished: it has indexes/);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
  const done = await runValidate(lab, ['--all', '--without-manifest']);
  assert.equal(done.code, 0, done.stderr);
});

test('an invalid manifest and a manifest of a newer version are refused', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const key = await keyEnding(lab, '.manifest.json');
  const manifest = JSON.parse((await bytesOf(lab, key)).toString());
  for (const [body, says] of [
    ['{"format":', /manifest/],
    [JSON.stringify({ ...manifest, format: 99 }), /format 99|newer/],
    [JSON.stringify({ ...manifest, objects: [{ key: 7 }] }), /manifest/],
    [JSON.stringify({ ...manifest, objects: [] }), /it lists no objects/],
    [
      JSON.stringify({ ...manifest, objects: [...manifest.objects, ...manifest.objects] }),
      /it lists the whole disk as well/,
    ],
  ] as const) {
    await replaceObject(lab, key, Buffer.from(body));
    const done = await runValidate(lab, ['--all', '--quiet']);
    assert.equal(done.code, 1, done.stderr);
    assert.match(done.stderr, says);
  }
});

test('a manifest that does not describe the disk is a difference; the manifest of a disk with only swap is not', async (t) => {
  const lab = await labForTest(t);
  const swap = { content: 'swap', sizeMiB: 8 } as const;
  const { snapshotId } = await addSnapshotOf(lab, {
    table: 'gpt',
    partitions: [{ content: 'ext4', sizeMiB: 16, populate: fillPlainly }, swap],
  });
  const swapOnly = await addSnapshotOf(lab, { table: 'none', partitions: [swap] });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const right = await runValidate(lab, ['--snapshots', swapOnly.snapshotId]);
  assert.equal(right.code, 0, right.stderr);
  const key = await keyEnding(lab, `${snapshotId}.manifest.json`);
  const manifest = JSON.parse((await bytesOf(lab, key)).toString());
  const [object] = manifest.objects;
  const asSwap = { ...object, bytes: object.plainBytes, reason: 'swap' };
  for (const [recorded, argv] of [
    [[asSwap, ...manifest.recorded], []],
    [[asSwap, ...manifest.recorded], ['--archive-only']],
    [manifest.recorded, ['--archive-only']],
  ] as const) {
    await replaceObject(lab, key, Buffer.from(JSON.stringify({ ...manifest, objects: [], recorded })));
    const done = await runValidate(lab, ['--snapshots', snapshotId, ...argv]);
    assert.equal(done.code, 12, `${argv}: ${done.stderr}`);
    assert.match(done.stderr, /not-in-archive: the archive does not contain partition 1/);
  }
  // Change properties from which a restore recreates the disk.
  const { disk } = manifest;
  const table = JSON.parse(JSON.stringify(disk.partitionTable).replace('"start":2048', '"start":4096'));
  const wrong = {
    disk: { ...disk, bootCode: Buffer.alloc(446, 'x').toString('base64'), partitionTable: table },
    objects: [{ ...object, uuid: null }],
    recorded: [{ ...manifest.recorded[0], label: 'other' }],
  };
  await replaceObject(lab, key, Buffer.from(JSON.stringify({ ...manifest, ...wrong })));
  await replaceObject(lab, object.index.key, Buffer.from('no index'));
  const described = await runValidate(lab, ['--snapshots', snapshotId]);
  assert.equal(described.code, 12, described.stderr);
  for (const what of ['boot code', 'partition table', 'UUID of the filesystem of partition 1', 'label .* partition 2'])
    assert.match(described.stderr, new RegExp(`disk: the ${what} does not match the manifest`));
  assert.match(described.stderr, /index: .*\.1\.index\.zst does not match the manifest/);
  assert.match(described.stderr, /differs from the snapshot: 5 differences/);
  const alone = await runValidate(lab, ['--snapshots', snapshotId, '--archive-only']);
  assert.equal(alone.code, 12, alone.stderr);
  assert.match(alone.stderr, /index: .*\.1\.index\.zst: /);
  assert.match(alone.stderr, /differs from its manifest or index: 1 difference/);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
});

test('objects in archive classes: the error has prices and commands, or says that the thaw is in progress', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--storage-class', 'DEEP_ARCHIVE'])).code, 0);
  const refused = await runValidate(lab, ['--all']);
  assert.equal(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /is in DEEP_ARCHIVE and must be thawed/);
  assert.match(refused.stderr, /aws s3api restore-object --bucket backups --key 'vol-/);
  assert.match(refused.stderr, /\$0\.\d+.*48 hours|48 hours.*\$0\.\d+/);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
  assert.ok(!(await lab.control.calls()).some(({ operation }) => operation === 'RestoreObject'));
  const validating = await runMigrate(lab, ['--all', '--validate', '--storage-class', 'GLACIER']);
  assert.equal(validating.code, 2, validating.stderr);
  const Key = await keyEnding(lab, '.tar.lz4');
  const RestoreRequest = { Days: 1, GlacierJobParameters: { Tier: 'Bulk' as const } };
  await lab.control.setDelays({ restore: 60_000 });
  await lab.s3.send(new RestoreObjectCommand({ Bucket: BUCKET, Key, RestoreRequest }));
  const waiting = await runValidate(lab, ['--all']);
  assert.equal(waiting.code, 1, waiting.stderr);
  assert.match(waiting.stderr, /is being thawed/);
});
