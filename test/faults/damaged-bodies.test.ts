/** Bits flip in downloaded bodies: the data is read a second time before a difference is reported. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DescribeSnapshotsCommand, type Snapshot } from '@aws-sdk/client-ec2';
import type { FaultSpec } from '../../lab/core/contract.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { byteWithData } from '../support/archives.ts';
import { BUCKET, type Finished, recordsOf, runCli, type TestLab } from '../support/lab.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { FILE_COUNT, type Kind, LONG_NAME, type StoredArchive, storedArchives } from '../support/stored-archives.ts';
import { bytesOf, imageOf } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { volumesIn } from '../support/volumes.ts';

/**
 * Flips the lowest bit of a byte in one response body, or in every body that is long enough. The position is half the
 * size of the object.
 */
async function flip(lab: TestLab, key: string, often: Pick<FaultSpec, 'every'> = {}): Promise<void> {
  await flipAt(lab, key, (await bytesOf(lab, key)).length >> 1, often);
}

async function flipAt(lab: TestLab, key: string, at: number, often: Pick<FaultSpec, 'every'> = {}): Promise<void> {
  await lab.control.script({
    service: 's3',
    operation: 'GetObject',
    match: { key },
    ...often,
    action: { kind: 'flip', at },
  });
}

async function run(lab: TestLab, argv: readonly string[]): Promise<Finished> {
  const done = await runCli(lab.env, [...argv, '--bucket', BUCKET, '--json']);
  const unplayed = await lab.control.unusedFaults();
  await lab.control.clearFaults();
  assert.deepEqual(unplayed, [], `${argv[0]} does not read it`);
  return done;
}

const errorOf = (failed: Finished): string =>
  recordsOf(failed).flatMap(({ code, error }) =>
    code === 'snapshot.finished' ? [(error as { message: string }).message] : [],
  )[0] ?? '';

const saidBy = ({ stdout, stderr }: Finished): string => stdout + stderr;

const rereadIn = (done: Finished): unknown[] =>
  recordsOf(done).flatMap(({ code, key }) => (code === 'object.reread' ? [key] : []));

async function assertFilesOf(lab: TestLab, { snapshotId }: StoredArchive, directory: string): Promise<void> {
  await withMounted(imageOf(lab, snapshotId), null, async (root) => {
    assert.deepEqual((await compareTrees(root, directory)).list, []);
  });
}

const snapshotsIn = async (lab: TestLab): Promise<Snapshot[]> =>
  (await lab.ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }))).Snapshots ?? [];

const MARKER = '.snap-to-s3-unfinished';

interface Restoring {
  kind: Kind;
  part: 'index' | 'data';
  flags: readonly string[];
  /** The exit code if the bit flips in every response. */
  code: number;
}

const FILES: Record<string, Restoring> = {
  lz4: { kind: 'lz4', part: 'data', flags: [], code: 12 },
  zstd: { kind: 'zstd', part: 'data', flags: [], code: 12 },
  'lz4 without index': { kind: 'lz4', part: 'data', flags: ['--no-index'], code: 12 },
  'zstd without index': { kind: 'zstd', part: 'data', flags: ['--no-index'], code: 12 },
  'an index': { kind: 'lz4', part: 'index', flags: [], code: 12 },
};

test('restore --to-dir: one flipped bit is corrected; repeated flips leave no file that looks complete', async (t) => {
  const { lab, archives } = await storedArchives(t);
  for (const [name, { kind, part, flags, code }] of Object.entries(FILES)) {
    const archive = archives[kind];
    const into = join(lab.directory, `once ${name}`);
    await flip(lab, archive[part]);
    const done = await run(lab, ['restore', archive.snapshotId, '--to-dir', into, ...flags]);
    assert.equal(done.code, 0, `${name}: ${done.stdout}${done.stderr}`);
    assert.deepEqual(rereadIn(done), [archive[part]], name);
    const restored = recordsOf(done).find((record) => record['code'] === 'object.restored');
    assert.equal(restored?.['files'], FILE_COUNT, name);
    await assertFilesOf(lab, archive, into);

    const never = join(lab.directory, `always ${name}`);
    await flip(lab, archive[part], { every: 1 });
    const failed = await run(lab, ['restore', archive.snapshotId, '--to-dir', never, ...flags]);
    assert.equal(failed.code, code, `${name}: ${failed.stdout}${failed.stderr}`);
    assert.ok(errorOf(failed).includes(archive[part]), saidBy(failed));
    assert.deepEqual(rereadIn(failed), [archive[part]], name);
    if (existsSync(never)) assert.ok(existsSync(join(never, MARKER)), name);
  }
});

test('restore without an index: a file created under a wrong name is removed', async (t) => {
  const { lab, archives } = await storedArchives(t);
  const { snapshotId, data } = archives.lz4;
  // Damage a part of the name that does not fit into the header, because the header has a checksum.
  const at = (await bytesOf(lab, data)).indexOf(LONG_NAME.slice(140, 160));
  assert.ok(at > 0);
  const restore = (into: string) => run(lab, ['restore', snapshotId, '--to-dir', into, '--no-index']);
  const [never, into] = ['never', 'once'].map((name) => join(lab.directory, name)) as [string, string];
  await flipAt(lab, data, at, { every: 1 });
  assert.equal((await restore(never)).code, 12);
  const made = readdirSync(never).filter((name) => name.startsWith(LONG_NAME.slice(0, 140)));
  assert.ok(made.length === 1 && made[0] !== LONG_NAME, `${made}`);
  await flipAt(lab, data, at);
  const done = await restore(into);
  assert.equal(done.code, 0, saidBy(done));
  await assertFilesOf(lab, archives.lz4, into);
});

test('restore --path: one flipped bit is corrected', async (t) => {
  const { lab, archives } = await storedArchives(t);
  for (const kind of ['lz4', 'zstd'] as const) {
    const archive = archives[kind];
    const into = join(lab.directory, kind);
    await flip(lab, archive.data);
    const done = await run(lab, ['restore', archive.snapshotId, '--to-dir', into, '--path', 'noise']);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.deepEqual(rereadIn(done), [archive.data]);
    assert.deepEqual(readdirSync(into), ['noise']);
    await withMounted(imageOf(lab, archive.snapshotId), null, async (root) => {
      assert.ok(readFileSync(join(root, 'noise')).equals(readFileSync(join(into, 'noise'))));
    });
    const never = join(lab.directory, `${kind}-never`);
    await flip(lab, archive.data, { every: 1 });
    const failed = await run(lab, ['restore', archive.snapshotId, '--to-dir', never, '--path', 'noise']);
    assert.equal(failed.code, 12, failed.stdout + failed.stderr);
    assert.ok(errorOf(failed).includes(archive.data), saidBy(failed));
    assert.ok(existsSync(join(never, MARKER)));
  }
});

test('restore --overwrite: other files are kept', async (t) => {
  const { lab, archives } = await storedArchives(t);
  const { snapshotId, data } = archives.lz4;
  const into = join(lab.directory, 'used');
  mkdirSync(into);
  writeFileSync(join(into, 'mine'), 'mine');
  for (const [flags, code] of [
    [['--no-index'], 12],
    [[], 0],
  ] as const) {
    await flip(lab, data);
    const done = await run(lab, ['restore', snapshotId, '--to-dir', into, '--overwrite', ...flags]);
    assert.equal(done.code, code, done.stdout + done.stderr);
    assert.equal(readFileSync(join(into, 'mine'), 'utf8'), 'mine');
  }
});

test('restore --to-snapshot: one flipped bit is corrected; repeated flips leave no snapshot', async (t) => {
  const { lab, archives } = await storedArchives(t);
  const { snapshotId, data, image, index } = archives.image;
  const at = await byteWithData(lab, index);
  for (const flags of [[], ['--no-index']]) {
    const before = (await snapshotsIn(lab)).map(({ SnapshotId }) => SnapshotId);
    await flipAt(lab, data, at);
    const done = await run(lab, ['restore', snapshotId, '--to-snapshot', ...flags]);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.deepEqual(rereadIn(done), [data]);
    const [made, ...others] = (await snapshotsIn(lab)).filter(({ SnapshotId }) => !before.includes(SnapshotId));
    assert.deepEqual([made?.State, others], ['completed', []]);
    await assertSameBytes(imageOf(lab, made?.SnapshotId ?? ''), image, { bytes: 32 * 2 ** 20 });

    await flipAt(lab, data, at, { every: 1 });
    const failed = await run(lab, ['restore', snapshotId, '--to-snapshot', ...flags]);
    assert.equal(failed.code, 12, failed.stdout + failed.stderr);
    assert.ok(errorOf(failed).includes(data), saidBy(failed));
    assert.equal((await snapshotsIn(lab)).length, before.length + 1);
  }
});

test('restore --to-volume: one flipped bit is corrected; repeated flips leave no volume', async (t) => {
  const { lab, archives } = await storedArchives(t);
  const { snapshotId, data } = archives.zstd;
  const argv = ['restore', snapshotId, '--to-volume', '--mount-point', join(lab.directory, 'mnt')];
  for (const flags of [[], ['--no-index']]) {
    await flip(lab, data, { every: 1 });
    const failed = await run(lab, [...argv, ...flags]);
    assert.equal(failed.code, 12, failed.stdout + failed.stderr);
    assert.ok(errorOf(failed).includes(data), saidBy(failed));
    assert.deepEqual(await volumesIn(lab), []);
  }
  for (const flags of [[], ['--no-index']]) {
    await flip(lab, data);
    const done = await run(lab, [...argv, ...flags]);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.deepEqual(rereadIn(done), [data]);
  }
  assert.equal((await volumesIn(lab)).length, 2);
});
