/** `kill -9` at every event of a run: the same command finishes the work, and nothing is left behind. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keysIn, plainHash } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { killFamily } from '../support/kill-family.ts';
import { labForTest, recordsOf, runMigrate, runValidate, type TestLab } from '../support/lab.ts';

const fill = async (directory: string): Promise<void> => {
  writeFileSync(join(directory, 'noise'), randomBytes(40_000_000));
};

const DISK = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 64, populate: fill },
    { content: 'random' as const, sizeMiB: 2 },
    { content: 'xfs' as const, sizeMiB: 320, populate: fill },
  ],
};

const LAYOUTS = [
  {
    argv: [],
    moments: [
      'snapshot.started',
      'tag.set',
      'volume.created',
      'volume.attaching',
      'partition.mounted',
      'object.started',
      'object.stored',
      'partition.raw',
      'snapshot.validated',
      'manifest.stored',
    ],
  },
  { argv: ['--dd'], moments: ['volume.attached', 'disk.read', 'object.started', 'volume.detached'] },
];

for (const { argv, moments } of LAYOUTS) {
  test(`killed at each event [${argv.join(' ')}]`, async (t) => {
    const reference = await wholeArchive(await labForTest(t), argv);
    for (const moment of moments) {
      await t.test(moment, async (inner) => {
        const lab = await labForTest(inner);
        const { snapshotId } = await addSnapshotOf(lab, DISK);
        const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-${moment}` };
        const command = ['--all', '--validate', '--json', '--claim-life', '60', ...argv];
        let killed = false;
        const first = await runMigrate(lab, command, {
          env,
          onLine: (line) => {
            if (killed || !line.includes(`"code":"${moment}"`)) return;
            killed = true;
            killFamily(env.SNAP_TO_S3_TEST_RUN);
          },
        });
        assert.ok(killed, `${moment} never came: ${first.stdout}`);
        const second = await runMigrate(lab, command);
        assert.ok(second.code === 0 || second.code === 10, second.stdout + second.stderr);
        assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
        const proof = await runValidate(lab, ['--snapshots', snapshotId]);
        assert.equal(proof.code, 0, proof.stderr);
        const keys = (await keysIn(lab)).map((key) => key.replace(/^\S+ snap-\w+/, ''));
        assert.deepEqual(keys, reference);
        if (moment === 'partition.raw') {
          assert.ok(recordsOf(second).some(({ code }) => code === 'object.kept'));
        }
      });
    }
  });
}

/** Suffixes of the keys of an archive that nobody interrupted. */
async function wholeArchive(lab: TestLab, argv: string[]): Promise<string[]> {
  await addSnapshotOf(lab, DISK);
  const done = await runMigrate(lab, ['--all', ...argv]);
  assert.equal(done.code, 0, done.stderr);
  return (await keysIn(lab)).map((key) => key.replace(/^\S+ snap-\w+/, ''));
}

const PART = 16 * 2 ** 20;

test('parts that are there are not sent again, and the archive is what it would have been', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, {
    table: 'none',
    partitions: [{ content: 'ext4', sizeMiB: 128, populate: fill }],
  });
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-parts` };
  // The last part never arrives; those before it are told to be there.
  await lab.control.script({ service: 's3', operation: 'UploadPart', skip: 2, action: { kind: 'hang' } });
  await runMigrate(lab, ['--all', '--json', '--upload-streams', '1'], {
    env,
    onLine: (line) => {
      const stored = /"code":"object.progress".*"storedBytes":(\d+)/.exec(line)?.[1];
      if (Number(stored) >= 2 * PART) killFamily(env.SNAP_TO_S3_TEST_RUN);
    },
  });
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
