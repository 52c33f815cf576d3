/** `clean` removes the leftovers of killed runs, and keeps resources that belong to others or are in use. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  CreateTagsCommand,
  CreateVolumeCommand,
  DeleteVolumeCommand,
  DescribeVolumesCommand,
} from '@aws-sdk/client-ec2';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { claimKey, decodeClaim, encodeClaim } from '../../src/archive/claim.ts';
import { keysIn, putClaim } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf, writesIn } from '../support/ec2-state.ts';
import { BUCKET, labForTest, type RunOptions, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';
import { until } from '../support/until.ts';

const fill = async (directory: string): Promise<void> => {
  writeFileSync(join(directory, 'noise'), randomBytes(40_000_000));
};

const ext4 = () => ({ content: 'ext4' as const, sizeMiB: 64, populate: fill });
const DISK = { table: 'gpt' as const, partitions: [ext4(), ext4()] };

const runClean = (lab: TestLab, argv: readonly string[] = [], options: RunOptions = {}) =>
  runCli(
    lab.env,
    ['clean', '--bucket', BUCKET, '--mount-point', join(lab.directory, 'mnt'), '--wait-limit', '30', '--json', ...argv],
    options,
  );

const NOW = ['--older-than', '0'];

const found = (finished: Awaited<ReturnType<typeof runClean>>) =>
  recordsOf(finished)
    .filter(({ code }) => code === 'clean.found')
    .map(({ kind, obstacle }) => `${kind}${obstacle === null ? '' : ` (${obstacle})`}`)
    .sort();

/**
 * Kills a run while it uploads the seventh part. One object and its index are complete, another object is incomplete,
 * and the volume is mounted.
 */
async function killedRun(
  t: TestContext,
  more: Record<string, string> = {},
): Promise<{ lab: TestLab; snapshotId: string }> {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, DISK);
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-clean`, ...more };
  await lab.control.script({ service: 's3', operation: 'UploadPart', skip: 6, action: { kind: 'hang' } });
  const run = runMigrate(lab, ['--all', '--upload-streams', '1', '--partition-concurrency', '1'], { env });
  await until(async () => (await lab.control.unusedFaults()).length === 0);
  killFamily(env.SNAP_TO_S3_TEST_RUN);
  assertKilled(await run);
  return { lab, snapshotId };
}

const LEFT = ['claim', 'object', 'object', 'tag', 'upload', 'volume'];

/** A host whose clock is three minutes fast. From four minutes on, the SDK repeats every call that is refused. */
const FAST_CLOCK = {
  NODE_OPTIONS: `--import ${join(import.meta.dirname, '..', 'support', 'processes', 'wrong-clock.ts')}`,
  WRONG_CLOCK_SECONDS: '180',
};

test('leftovers of a killed run are listed, and removed only with --yes; ages use the clock of AWS', async (t) => {
  const { lab, snapshotId } = await killedRun(t, FAST_CLOCK);
  const Key = claimKey('', snapshotId);
  const { Body } = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
  const claim = decodeClaim(Buffer.from((await Body?.transformToByteArray()) ?? []), new Date());
  assert.ok(new Date(claim?.takenAt ?? '') <= new Date(), 'by the clock of the store');
  const before = (await writesIn(lab)).length;
  const young = await runClean(lab, [], { env: FAST_CLOCK });
  const ages = recordsOf(young).flatMap(({ ageSeconds }) => (typeof ageSeconds === 'number' ? [ageSeconds] : []));
  assert.ok(ages.length > 0 && ages.every((age) => age < 170), ages.join());
  assert.equal(young.code, 0, young.stderr);
  assert.deepEqual(
    found(young),
    LEFT.map(
      (kind) => `${kind} (younger than --older-than; running the interrupted command again would resume from it)`,
    ),
  );
  assert.deepEqual(found(await runClean(lab, ['--yes'])), found(young));
  const shown = await runClean(lab, NOW);
  assert.deepEqual(found(shown), LEFT);
  const costs = recordsOf(shown).filter(({ kind }) => ['volume', 'upload', 'object'].includes(kind as string));
  for (const { dollarsMonth } of costs) assert.ok((dollarsMonth as number) > 0, JSON.stringify(costs));
  assert.equal((await writesIn(lab)).length, before, 'showing changes nothing');
  const cleaned = await runClean(lab, [...NOW, '--yes']);
  assert.equal(cleaned.code, 0, cleaned.stdout + cleaned.stderr);
  assert.equal(recordsOf(cleaned).filter(({ code }) => code === 'clean.removed').length, LEFT.length);
  assert.deepEqual(await keysIn(lab), []);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
  assert.deepEqual(await lab.control.leftovers(), []);
  assert.deepEqual(found(await runClean(lab, NOW)), []);
});

test('a volume that may be mounted on another instance is kept', async (t) => {
  const { lab } = await killedRun(t);
  const elsewhere = { AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1', AWS_REGION: 'us-east-1' };
  const cleaned = await runClean(lab, [...NOW, '--yes'], { env: elsewhere });
  assert.equal(cleaned.code, 0, cleaned.stdout + cleaned.stderr);
  assert.match(cleaned.stdout, /it may be mounted on i-\w+: run this command there/);
  assert.deepEqual(
    (await lab.control.leftovers())
      .map(({ kind }) => kind)
      .filter((kind) => kind === 'multipart-upload' || kind === 'attachment'),
    ['attachment'],
  );
  const here = await runClean(lab, [...NOW, '--yes']);
  assert.equal(here.code, 0, here.stdout + here.stderr);
});

test('if the archive is complete, the tag becomes migrated', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  await tag(lab, snapshotId, 'migrating');
  assert.equal((await runClean(lab, [...NOW, '--yes'])).code, 0);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
});

test('resources of others with similar names and tags are kept', async (t) => {
  const lab = await labForTest(t);
  const mine = await addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': 'migrated' } });
  const key = `${mine.volumeId}/2020-01-01T00:00:00+00:00 ${mine.snapshotId}`;
  // A legacy archive has neither a manifest nor a claim. The upload belongs to another tool.
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${key}.tar.lz4`, Body: 'old' }));
  const upload = { Bucket: BUCKET, Key: `${key}.img.lz4` };
  const { UploadId } = await lab.s3.send(new CreateMultipartUploadCommand(upload));
  const marks: Record<string, string>[] = [
    { 'snap-to-s3': 'in-progress' },
    { 'snap-to-s3': 'in-progress', 'snap-to-s3-archives': 'another-bucket/' },
    { 'snap-to-s3-archives': `${BUCKET}/` },
    { 'snap-to-s3': 'in-progress', 'snap-to-s3-archives': `${BUCKET}/team/` },
  ];
  const volumes: string[] = [];
  for (const tags of marks) volumes.push(await makeVolume(lab, mine.snapshotId, tags));
  await tag(lab, mine.snapshotId, 'migrating');
  const stuck = await addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': 'migrating', 'snap-to-s3-id': 'i-1' } });
  const busy = await addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': 'migrating' } });
  const owned = { 'snap-to-s3': 'in-progress', 'snap-to-s3-archives': `${BUCKET}/` };
  volumes.push(await makeVolume(lab, busy.snapshotId, owned));
  await putLiveClaim(lab, busy.snapshotId);
  const before = (await keysIn(lab)).length;
  const cleaned = await runClean(lab, [...NOW, '--yes']);
  assert.equal(cleaned.code, 0, cleaned.stdout + cleaned.stderr);
  assert.deepEqual(
    recordsOf(cleaned).filter(({ code }) => code === 'clean.removed'),
    [],
  );
  assert.equal((await keysIn(lab)).length, before);
  const { Uploads = [] } = await lab.s3.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
  assert.deepEqual(
    Uploads.map((found) => found.UploadId),
    [UploadId],
  );
  const { Volumes = [] } = await lab.ec2.send(new DescribeVolumesCommand({ VolumeIds: volumes }));
  assert.equal(Volumes.length, volumes.length);
  for (const { snapshotId } of [mine, stuck, busy])
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrating');
  for (const VolumeId of volumes) await lab.ec2.send(new DeleteVolumeCommand({ VolumeId }));
  await lab.s3.send(new AbortMultipartUploadCommand({ ...upload, UploadId }));
});

const tag = (lab: TestLab, snapshotId: string, Value: string) =>
  lab.ec2.send(new CreateTagsCommand({ Resources: [snapshotId], Tags: [{ Key: 'snap-to-s3', Value }] }));

async function makeVolume(lab: TestLab, SnapshotId: string, tags: Record<string, string>): Promise<string> {
  const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  const command = new CreateVolumeCommand({
    SnapshotId,
    AvailabilityZone: 'us-east-1a',
    TagSpecifications: [{ ResourceType: 'volume', Tags }],
  });
  const { VolumeId = '' } = await lab.ec2.send(command);
  return VolumeId;
}

/** Stores the claim of a run that is working on another machine. */
const putLiveClaim = (lab: TestLab, snapshot: string) =>
  putClaim(lab, {
    snapshot,
    volume: 'vol-0',
    holder: { run: 'x', host: 'elsewhere', pid: 7, boot: 'b', namespace: 'n', started: '1' },
    tagBefore: 'migrate',
  });

for (const event of ['index.stored', 'object.stored']) {
  test(`an image that was read directly, killed at ${event}: object and index are removed`, async (t) => {
    const { lab, snapshotId } = await killedAt(t, event);
    await isAllCleaned(lab, snapshotId);
  });
}

test('an index that was stored but not recorded before the run was killed is removed, too', async (t) => {
  const { lab, snapshotId } = await killedAt(t, 'index.stored');
  const place = { Bucket: BUCKET, Key: claimKey('', snapshotId) };
  const { Body } = await lab.s3.send(new GetObjectCommand(place));
  const claim = decodeClaim(Buffer.from((await Body?.transformToByteArray()) ?? []), new Date());
  assert.ok(claim?.progress);
  const objects = claim.progress.objects.map((object) => ({ ...object, index: null }));
  const unnoted = encodeClaim({ ...claim, progress: { ...claim.progress, objects } });
  await lab.s3.send(new PutObjectCommand({ ...place, Body: unnoted }));
  await isAllCleaned(lab, snapshotId);
});

async function killedAt(t: TestContext, event: string): Promise<{ lab: TestLab; snapshotId: string }> {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, DISK);
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-index` };
  const run = await runMigrate(lab, ['--all', '--dd', '--source', 'direct', '--json'], {
    env,
    onLine: (line) => {
      if (line.includes(`"code":"${event}"`)) killFamily(env.SNAP_TO_S3_TEST_RUN);
    },
  });
  assertKilled(run);
  return { lab, snapshotId };
}

async function isAllCleaned(lab: TestLab, snapshotId: string): Promise<void> {
  assert.ok((await keysIn(lab)).some((key) => key.endsWith('.img.lz4')));
  const cleaned = await runClean(lab, [...NOW, '--yes']);
  assert.equal(cleaned.code, 0, cleaned.stdout + cleaned.stderr);
  assert.deepEqual(await keysIn(lab), []);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
}

test('the number of calls does not depend on the number of snapshots, except for reading claims', async (t) => {
  const lab = await labForTest(t);
  const NUMBERS = Array.from({ length: 40 }, (_, number) => number);
  for (const number of NUMBERS) {
    await putClaim(lab, { snapshot: `snap-${number.toString(16).padStart(17, '0')}` });
  }
  await lab.control.clearCalls();
  const shown = await runClean(lab, NOW);
  assert.equal(found(shown).length, NUMBERS.length);
  const counts = new Map<string, number>();
  for (const { operation } of await lab.control.calls()) counts.set(operation, (counts.get(operation) ?? 0) + 1);
  assert.equal(counts.get('GetObject'), NUMBERS.length);
  for (const operation of ['DescribeVolumes', 'DescribeSnapshots', 'ListMultipartUploads'])
    assert.ok((counts.get(operation) ?? 0) <= 4, `${operation}: ${counts.get(operation)}`);
});
