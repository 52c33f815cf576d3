/** A machine that AWS is about to stop releases its resources, and leaves the rest for another run to resume. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { labForTest, recordsOf, runMigrate, runValidate } from '../support/lab.ts';
import { until } from '../support/until.ts';

const DISK = {
  table: 'none' as const,
  partitions: [
    {
      content: 'ext4' as const,
      sizeMiB: 128,
      populate: async (directory: string) => writeFileSync(join(directory, 'noise'), randomBytes(40_000_000)),
    },
  ],
};

const NOTICE = { action: 'terminate', time: '2026-11-23T12:00:00Z' } as const;

test('a spot notice stops a run in the middle of an upload, and another run resumes it', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['multipart-upload', 'claim'] });
  const first = await addSnapshotOf(lab, DISK);
  const second = await addSnapshotOf(lab);
  await lab.control.script({ service: 's3', operation: 'UploadPart', skip: 2, action: { kind: 'hang' } });
  const running = runMigrate(lab, ['--all', '--json', '--upload-streams', '1']);
  await until(async () => (await lab.control.unusedFaults()).length === 0);
  await lab.control.setSpotAction(NOTICE);
  const stopped = await running;
  assert.equal(stopped.code, 130, stopped.stdout + stopped.stderr);
  assert.match(
    stopped.stdout,
    /"code":"instance.notice","notice":"spot interruption \(terminate at 2026-11-23T12:00:00Z\)"/,
  );
  assert.deepEqual(
    (await lab.control.leftovers()).map(({ kind }) => kind).filter((kind) => kind !== 'claim'),
    ['multipart-upload'],
  );
  for (const { snapshotId } of [first, second]) assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
  const refused = await runMigrate(lab, ['--all']);
  assert.equal(refused.code, 130, refused.stderr);
  await lab.control.setSpotAction(null);
  const finished = await runMigrate(lab, ['--all', '--json']);
  assert.equal(finished.code, 0, finished.stdout + finished.stderr);
  const resumed = recordsOf(finished).find(({ code }) => code === 'upload.resumed');
  assert.equal(resumed?.['parts'], 2, finished.stdout);
  assert.equal((await runValidate(lab, ['--all'])).code, 0);
  assert.deepEqual(await lab.control.leftovers(), []);
});
