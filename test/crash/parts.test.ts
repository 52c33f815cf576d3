/** Parts that a killed run has uploaded are not sent again. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keysIn, plainHash } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { labForTest, recordsOf, runMigrate, runValidate } from '../support/lab.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';

const fill = async (directory: string): Promise<void> => {
  writeFileSync(join(directory, 'noise'), randomBytes(40_000_000));
};

const PART = 8 * 2 ** 20;

test('stored parts are not sent again, and the archive is identical', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, {
    table: 'none',
    partitions: [{ content: 'ext4', sizeMiB: 128, populate: fill }],
  });
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-parts` };
  // The last part never arrives. The parts before it are reported as stored.
  await lab.control.script({ service: 's3', operation: 'UploadPart', skip: 2, action: { kind: 'hang' } });
  assertKilled(
    await runMigrate(lab, ['--all', '--json', '--upload-streams', '1'], {
      env,
      onLine: (line) => {
        const stored = /"code":"object.progress".*"storedBytes":(\d+)/.exec(line)?.[1];
        if (Number(stored) >= 2 * PART) killFamily(env.SNAP_TO_S3_TEST_RUN);
      },
    }),
  );
  const second = await runMigrate(lab, ['--all', '--json']);
  assert.equal(second.code, 0, second.stdout + second.stderr);
  const resumed = recordsOf(second).find(({ code }) => code === 'upload.resumed');
  assert.ok(resumed, second.stdout);
  assert.equal(resumed['bytes'], 2 * PART);
  const [key = ''] = (await keysIn(lab)).filter((name) => name.endsWith('.tar.lz4'));
  assert.match(await plainHash(lab, key), /^[0-9a-f]{64}$/);
  const proof = await runValidate(lab, ['--snapshots', snapshotId]);
  assert.equal(proof.code, 0, proof.stderr);
});
