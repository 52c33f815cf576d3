/** If a run with direct reads is killed, the next run resumes in the middle of the disk. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GetObjectCommand, ListPartsCommand } from '@aws-sdk/client-s3';
import type { Claim, UploadCheckpoint } from '../../src/archive/claim.ts';
import { assertPlainEquals, keyEnding, readIndex, readManifest } from '../support/archives.ts';
import { addSnapshotOfImage } from '../support/disks.ts';
import { BUCKET, labForTest, recordsOf, runMigrate, type TestLab } from '../support/lab.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';
import { oneIn } from '../support/sampled.ts';
import { imageOf } from '../support/tamper.ts';

const BLOCK = 524_288;
const GiB = 2 ** 30;

/** Random blocks in each section (14 MiB). They do not compress, and each section ends in the middle of a part. */
const NOISE = 28;

/** Creates a disk of 2 GiB: eight sections of 256 MiB. */
function noisyDisk(lab: TestLab): string {
  const image = join(lab.directory, 'noisy.img');
  const file = openSync(image, 'w');
  for (let section = 0; section < 8; section++) {
    for (let block = 0; block < NOISE; block++) {
      writeSync(file, randomBytes(BLOCK), 0, BLOCK, (section * 512 + 3 * block) * BLOCK);
    }
  }
  ftruncateSync(file, 2 * GiB);
  return image;
}

const DIRECT = ['--all', '--dd', '--source', 'direct', '--json'];

/** Number of block reads that succeed before all others hang: more than five sections need. */
const READ = 5 * NOISE + 8;

/** Returns how many bytes of the disk the last recorded checkpoint covers whose parts all exist. */
async function storedBytes(lab: TestLab, snapshotId: string): Promise<number> {
  const Key = `.snap-to-s3/claims/${snapshotId}.json`;
  const answer = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
  const claim = JSON.parse((await answer.Body?.transformToString()) ?? '{}') as Claim;
  const upload = claim.progress?.uploads[0];
  if (!upload) return 0;
  const place = { Bucket: BUCKET, Key: upload.key, UploadId: upload.uploadId };
  const { Parts = [] } = await lab.s3.send(new ListPartsCommand(place));
  const parts = new Set(Parts.map(({ PartNumber }) => PartNumber));
  const isThere = ({ parts: count }: UploadCheckpoint) =>
    Array.from({ length: count }).every((_, at) => parts.has(at + 1));
  return upload.checkpoints.findLast(isThere)?.plainBytes ?? 0;
}

for (const [codec, suffix, validate] of oneIn(2, [
  ['lz4', 'lz4', []],
  ['zstd', 'zst', ['--validate']],
] as const)) {
  test(`${codec}: stored blocks are not read again, and the image equals the disk`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOfImage(lab, noisyDisk(lab));
    const marker = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-resume` };
    await lab.control.script({
      service: 'ebs',
      operation: 'GetSnapshotBlock',
      skip: READ,
      times: 1000,
      action: { kind: 'hang' },
    });
    let isKilled = false;
    const first = runMigrate(lab, [...DIRECT, '--compression', codec, '--block-streams', '4'], {
      env: marker,
      onLine: (line) => {
        // Progress is reported repeatedly while the reads hang, and all possible checkpoints are recorded meanwhile.
        if (isKilled || !line.includes('"object.progress"')) return;
        void storedBytes(lab, snapshotId).then((plainBytes) => {
          isKilled ||= plainBytes === 5 * 256 * 2 ** 20;
          if (isKilled) killFamily(marker.SNAP_TO_S3_TEST_RUN);
        });
      },
    });
    assertKilled(await first);
    await lab.control.clearFaults();
    const before = (await lab.control.calls()).length;
    const second = await runMigrate(lab, [...DIRECT, '--compression', codec, ...validate]);
    assert.equal(second.code, 0, second.stdout + second.stderr);
    const calls = (await lab.control.calls()).slice(before);
    const blocks = calls.filter(({ operation }) => operation === 'GetSnapshotBlock').length;
    // The first block is also read for the partition table. A validation also reads blocks whose hash is not recorded.
    const unseen = validate.length > 0 ? 5 * NOISE : 0;
    assert.ok(blocks >= 3 * NOISE + unseen && blocks <= 3 * NOISE + unseen + 2, `${blocks} blocks`);
    assert.ok(recordsOf(second).some(({ code }) => code === 'upload.resumed'));
    await assertPlainEquals(lab, await keyEnding(lab, `.img.${suffix}`), imageOf(lab, snapshotId));
    const manifest = await readManifest(lab);
    assert.equal(manifest.objects[0]?.plainSha256 !== null, validate.length > 0);
    assert.equal(manifest.validatedAt !== null, validate.length > 0);
    const index = await readIndex(lab, '.index.zst');
    assert.deepEqual(index.find(({ is }) => is === 'stored')?.blocks, [0, 5 * 512]);
    assert.equal(index.filter(({ is }) => is === 'data').length, 3 * NOISE);
    assert.deepEqual(
      index.flatMap(({ piece }) => (piece ? [piece.plain / 2 ** 20] : [])),
      // Each frame with data has a place, and the first one of the zeros behind them.
      [1280, 1536, 1792].flatMap((start) => Array.from({ length: 12 }, (_, frame) => start + 4 * frame)),
    );
  });
}

test('an invalid checkpoint is not used', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOfImage(lab, noisyDisk(lab));
  const marker = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-forged` };
  await lab.control.script({
    service: 'ebs',
    operation: 'GetSnapshotBlock',
    skip: READ,
    times: 1000,
    action: { kind: 'hang' },
  });
  const first = runMigrate(lab, [...DIRECT, '--block-streams', '4'], {
    env: marker,
    onLine: (line) => {
      if (!line.includes('"object.progress"')) return;
      void storedBytes(lab, snapshotId).then((plainBytes) => {
        if (plainBytes > 0) killFamily(marker.SNAP_TO_S3_TEST_RUN);
      });
    },
  });
  assertKilled(await first);
  await lab.control.clearFaults();
  await forgeCheckpoints(lab, snapshotId);
  const second = await runMigrate(lab, DIRECT);
  assert.equal(second.code, 0, second.stdout + second.stderr);
  await assertPlainEquals(lab, await keyEnding(lab, '.img.lz4'), imageOf(lab, snapshotId));
});

/** Makes the checkpoints record more stored bytes than the parts have. */
async function forgeCheckpoints(lab: TestLab, snapshotId: string): Promise<void> {
  const { PutObjectCommand } = await import('@aws-sdk/client-s3');
  const Key = `.snap-to-s3/claims/${snapshotId}.json`;
  const answer = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
  const claim = JSON.parse((await answer.Body?.transformToString()) ?? '{}');
  for (const checkpoint of claim.progress.uploads[0].checkpoints) checkpoint.storedBytes += 1000;
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: JSON.stringify(claim) }));
}
