/** Bodies that stall while their connection stays open, once and repeatedly, in every command that reads. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DescribeSnapshotsCommand, type Snapshot } from '@aws-sdk/client-ec2';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { FaultAction, FaultSpec } from '../../lab/core/contract.ts';
import { withDevice } from '../../lab/disks/mounted.ts';
import { inParallel } from '../../src/lib/parallel.ts';
import { keysIn, putClaim } from '../support/archives.ts';
import { csv, line, snapshotId as numbered } from '../support/costs/bills.ts';
import { type AddedSnapshot, addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { oneIn } from '../support/sampled.ts';
import { KINDS, type Kind, type StoredArchive, storedArchives } from '../support/stored-archives.ts';
import { bytesOf } from '../support/tamper.ts';
import { volumesIn } from '../support/volumes.ts';

type Part = 'manifest' | 'index' | 'data';

interface Reading {
  kind: Kind;
  argv: (archive: StoredArchive, scratch: string) => string[];
  /** Objects that the command reads. */
  reads: Part[];
}

const mounts = (scratch: string) => ['--mount-point', join(scratch, 'mnt')];

const restore =
  (...flags: string[]) =>
  (archive: StoredArchive, scratch: string) => [
    'restore',
    archive.snapshotId,
    ...flags.map((flag) => flag.replace('SCRATCH', scratch)),
  ];

const validate =
  (...flags: string[]) =>
  (archive: StoredArchive, scratch: string) => [
    'validate',
    '--snapshots',
    archive.snapshotId,
    ...flags,
    ...mounts(scratch),
  ];

const drill = (archive: StoredArchive, scratch: string): string[] => [
  'drill',
  '--snapshots',
  archive.snapshotId,
  '--scratch',
  scratch,
  ...mounts(scratch),
];

const migrate = (kind: Kind) => (archive: StoredArchive, scratch: string) => [
  'migrate',
  '--validate',
  '--replace',
  '--snapshots',
  archive.snapshotId,
  ...KINDS[kind],
  ...mounts(scratch),
];

const READINGS: Record<string, Reading> = {
  list: { kind: 'lz4', argv: () => ['list'], reads: ['manifest'] },
  'list ARCHIVE': { kind: 'lz4', argv: ({ snapshotId }) => ['list', snapshotId], reads: ['manifest'] },
  'list ARCHIVE --find': {
    kind: 'lz4',
    argv: ({ snapshotId }) => ['list', snapshotId, '--find', 'hostname'],
    reads: ['manifest', 'index'],
  },
  'list --find': { kind: 'zstd', argv: () => ['list', '--find', 'hostname'], reads: ['manifest', 'index'] },
  'restore --to-dir, lz4': {
    kind: 'lz4',
    argv: restore('--to-dir', 'SCRATCH/to-dir-lz4'),
    reads: ['manifest', 'index', 'data'],
  },
  'restore --to-dir, zstd': {
    kind: 'zstd',
    argv: restore('--to-dir', 'SCRATCH/to-dir-zstd'),
    reads: ['manifest', 'index', 'data'],
  },
  'restore --to-dir --path': {
    kind: 'lz4',
    argv: restore('--to-dir', 'SCRATCH/path', '--path', 'noise'),
    reads: ['manifest', 'index', 'data'],
  },
  'restore --to-file': {
    kind: 'image',
    argv: restore('--to-file', 'SCRATCH/restored.img'),
    reads: ['manifest', 'index', 'data'],
  },
  'restore --to-device': {
    kind: 'image',
    argv: restore('--to-device', 'DEVICE', '--yes', '--overwrite'),
    reads: ['manifest', 'index', 'data'],
  },
  'restore --to-snapshot': {
    kind: 'image',
    argv: restore('--to-snapshot'),
    reads: ['manifest', 'index', 'data'],
  },
  'restore --to-volume': {
    kind: 'zstd',
    argv: restore('--to-volume', '--mount-point', 'SCRATCH/mnt'),
    reads: ['manifest', 'index', 'data'],
  },
  validate: { kind: 'lz4', argv: validate(), reads: ['manifest', 'data'] },
  'validate --content-only': { kind: 'zstd', argv: validate('--content-only'), reads: ['manifest', 'data'] },
  'validate --archive-only': {
    kind: 'image',
    argv: validate('--archive-only'),
    reads: ['manifest', 'index', 'data'],
  },
  'drill, files': { kind: 'zstd', argv: drill, reads: ['manifest', 'index', 'data'] },
  'drill, image': { kind: 'image', argv: drill, reads: ['manifest', 'index', 'data'] },
  'migrate --validate, files': { kind: 'lz4', argv: migrate('lz4'), reads: ['manifest', 'data'] },
  'migrate --validate, image': { kind: 'image', argv: migrate('image'), reads: ['manifest', 'data'] },
};

/** A test hangs until this deadline, and fails, if a stalled body is not abandoned. */
const DEADLINE = { timeout: 600_000 };

const PATIENCE = ['--bucket', BUCKET, '--call-timeout', '1'];

const stall = (key: string, afterBytes: number, often: Pick<FaultSpec, 'every'> = {}): FaultSpec => ({
  service: 's3',
  operation: 'GetObject',
  match: { key },
  ...often,
  action: { kind: 'stall', afterBytes },
});

function scratchOf(lab: TestLab, name: string): string {
  const scratch = join(lab.directory, name);
  mkdirSync(join(scratch, 'mnt'), { recursive: true });
  return scratch;
}

const onDevice = (argv: readonly string[], device: string): string[] =>
  argv.map((word) => word.replace('DEVICE', device));

const snapshotsIn = async (lab: TestLab): Promise<Snapshot[]> =>
  (await lab.ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }))).Snapshots ?? [];

async function withTarget<T>(lab: TestLab, use: (device: string) => Promise<T>): Promise<T> {
  const image = join(lab.directory, 'device.img');
  writeFileSync(image, '');
  truncateSync(image, 2 ** 30);
  return withDevice(image, null, { readOnly: false }, use);
}

test('a body that stalls once is read again', DEADLINE, async (t) => {
  const { lab, archives } = await storedArchives(t);
  const scratch = scratchOf(lab, 'once');
  await withTarget(lab, async (device) => {
    for (const [name, { kind, argv, reads }] of oneIn(3, Object.entries(READINGS))) {
      await t.test(name, async () => {
        const archive = archives[kind];
        for (const part of reads) {
          const key = archive[part];
          await lab.control.script(stall(key, (await bytesOf(lab, key)).length >> 1));
        }
        const done = await runCli(lab.env, [...onDevice(argv(archive, scratch), device), ...PATIENCE]);
        const unplayed = await lab.control.unusedFaults();
        await lab.control.clearFaults();
        assert.equal(done.code, 0, done.stdout + done.stderr);
        assert.deepEqual(
          unplayed.map(({ match }) => match?.['key']),
          [],
          'what it does not read',
        );
      });
    }
  });
});

/** Number of concurrent commands. They wait most of the time. */
const CONCURRENCY = 4;

for (const part of oneIn(3, ['manifest', 'data', 'index'] as const)) {
  test(
    `${part} that always stalls: commands fail with the object and the bucket in the message`,
    DEADLINE,
    async (t) => {
      const { lab, archives } = await storedArchives(t);
      for (const archive of Object.values(archives)) await lab.control.script(stall(archive[part], 40, { every: 1 }));
      const affected = Object.entries(READINGS).filter(([, { reads }]) => reads.includes(part));
      // The `migrate` commands run last, because they replace what the others read.
      const [last, first] = [true, false].map((isLast) =>
        affected.filter(([name]) => name.startsWith('migrate') === isLast),
      );
      await withTarget(lab, async (device) => {
        for (const together of [first, last]) {
          await inParallel(together ?? [], CONCURRENCY, t.signal, async ([name, { kind, argv }]) => {
            const keys = Object.values(archives).map((archive) => `could not read s3://${BUCKET}/${archive[part]}: `);
            const scratch = scratchOf(lab, name);
            const done = await runCli(lab.env, [...onDevice(argv(archives[kind], scratch), device), ...PATIENCE]);
            // A search goes on without an index that cannot be read.
            const expected = part === 'index' && name.endsWith('--find') ? 3 : 1;
            assert.equal(done.code, expected, `${name}: ${done.stdout}${done.stderr}`);
            const said = done.stdout + done.stderr;
            assert.ok(
              keys.some((text) => said.includes(text)),
              `${name}: ${said}`,
            );
            assert.ok(!existsSync(join(scratch, 'restored.img')), name);
          });
        }
      });
      await lab.control.clearFaults();
      assert.equal((await snapshotsIn(lab)).length, Object.keys(archives).length, 'a snapshot that is not whole');
      assert.deepEqual(await volumesIn(lab), [], 'a volume that is not whole');
    },
  );
}

/** Writes the claim of a run that has left its work for another run to resume. Returns its key. */
const leaveClaim = (lab: TestLab, { snapshotId, volumeId }: AddedSnapshot): Promise<string> =>
  putClaim(lab, { snapshot: snapshotId, volume: volumeId, lifeSeconds: 900 });

test('clean reads stalled claims again', DEADLINE, async (t) => {
  const lab = await labForTest(t);
  const key = await leaveClaim(lab, await addSnapshotOf(lab));
  const clean = () => runCli(lab.env, ['clean', '--yes', '--older-than', '0', ...mounts(lab.directory), ...PATIENCE]);
  await lab.control.script(stall(key, 40, { every: 1 }));
  const failed = await clean();
  await lab.control.clearFaults();
  assert.equal(failed.code, 1, failed.stdout + failed.stderr);
  assert.ok(failed.stderr.includes(`could not read s3://${BUCKET}/${key}: `), failed.stderr);
  await lab.control.script(stall(key, 40));
  const done = await clean();
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.deepEqual(await keysIn(lab), []);
});

test('analyze reads a stalled report again', DEADLINE, async (t) => {
  const lab = await labForTest(t);
  const Body = csv('legacy', [{ month: '2026-09', others: 2, snapshots: [line(numbered(1), 2048)] }], 'daily');
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'bill.csv', Body }));
  const analyze = () => runCli(lab.env, ['analyze', `s3://${BUCKET}/bill.csv`, '--offline', '--call-timeout', '1']);
  await lab.control.script(stall('bill.csv', Body.length >> 1));
  const done = await analyze();
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await lab.control.script(stall('bill.csv', 40, { every: 1 }));
  const failed = await analyze();
  await lab.control.clearFaults();
  assert.equal(failed.code, 1, failed.stdout + failed.stderr);
  assert.ok(failed.stderr.includes(`could not read s3://${BUCKET}/bill.csv: `), failed.stderr);
});

test('migrate survives if every sixth response of S3 stalls', DEADLINE, async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  await lab.control.script({ service: 's3', operation: '*', every: 6, action: { kind: 'stall', afterBytes: 40 } });
  const done = await runCli(lab.env, ['migrate', '--all', ...mounts(lab.directory), ...PATIENCE]);
  const unplayed = await lab.control.unusedFaults();
  await lab.control.clearFaults();
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.deepEqual(unplayed, []);
});

const DIRECT: Record<string, { argv: readonly string[]; operation: string; actions: readonly FaultAction[] }> = {
  'a block that is read': {
    argv: ['migrate', '--replace', '--dd', '--source', 'direct', '--snapshots'],
    operation: 'GetSnapshotBlock',
    actions: [{ kind: 'stall', afterBytes: 1000 }],
  },
  'a block that is read by a driver': {
    argv: ['migrate', '--replace', '--source', 'direct', '--snapshots'],
    operation: 'GetSnapshotBlock',
    actions: [{ kind: 'stall', afterBytes: 1000 }],
  },
  'a list of blocks': {
    argv: ['migrate', '--replace', '--dd', '--source', 'direct', '--snapshots'],
    operation: 'ListSnapshotBlocks',
    actions: [{ kind: 'stall', afterBytes: 20 }],
  },
  'a block that is written, and the response': {
    argv: ['restore', '--to-snapshot'],
    operation: 'PutSnapshotBlock',
    actions: [{ kind: 'hang' }, { kind: 'stall', afterBytes: 0 }],
  },
};

for (const [name, { argv, operation, actions }] of oneIn(2, Object.entries(DIRECT))) {
  test(`stalls of the EBS direct APIs: ${name}`, DEADLINE, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab);
    const migrated = await runMigrate(lab, ['--snapshots', snapshotId, '--dd', '--source', 'direct']);
    assert.equal(migrated.code, 0, migrated.stdout + migrated.stderr);
    const mountPoint = argv[0] === 'migrate' ? mounts(lab.directory) : [];
    const run = () => runCli(lab.env, [...argv, snapshotId, ...mountPoint, ...PATIENCE]);
    for (const action of actions) {
      await lab.control.script({ service: 'ebs', operation, action });
      const done = await run();
      assert.equal(done.code, 0, done.stdout + done.stderr);
    }
    const before = await snapshotsIn(lab);
    for (const action of actions) {
      await lab.control.script({ service: 'ebs', operation, every: 1, action });
      const failed = await run();
      await lab.control.clearFaults();
      assert.equal(failed.code, 1, failed.stdout + failed.stderr);
      assert.match(failed.stderr, /failed after .*block.* snap-/);
      assert.deepEqual(await snapshotsIn(lab), before, 'a snapshot that is not whole');
    }
  });
}
