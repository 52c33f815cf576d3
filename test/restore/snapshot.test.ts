/** Images become new EBS snapshots that equal the disk byte for byte; otherwise there is no snapshot. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { FaultAction } from '../../lab/core/contract.ts';
import { keyEnding } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, labForTest, type RunOptions, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { oneIn } from '../support/sampled.ts';
import { imageOf } from '../support/tamper.ts';
import { until } from '../support/until.ts';

const GPT = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 48, populate: fillPlainly },
    { content: 'random' as const, sizeMiB: 4 },
  ],
};

const NOTICE = { action: 'terminate', time: '2026-11-23T12:00:00Z' } as const;

const runRestore = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli(lab.env, ['restore', '--bucket', BUCKET, '--json', '--to-snapshot', ...argv], options);

async function archived(t: TestContext, fixture = {}, flags = ['--source', 'direct']) {
  const lab = await labForTest(t);
  const tags = { 'snap-to-s3': 'migrate', Name: 'web', 'cost centre': '4711' };
  const { snapshotId } = await addSnapshotOf(lab, GPT, { tags, description: 'before the upgrade', ...fixture });
  const done = await runMigrate(lab, ['--all', '--dd', ...flags]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  return { lab, snapshotId };
}

async function snapshotsBut(lab: TestLab, known: string) {
  const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
  return Snapshots.filter(({ SnapshotId }) => SnapshotId !== known);
}

const putsIn = async (lab: TestLab): Promise<number> =>
  (await lab.control.calls()).filter(({ operation }) => operation === 'PutSnapshotBlock').length;

const dataReadsIn = async (lab: TestLab): Promise<number> =>
  (await lab.control.calls()).filter(
    ({ operation, details }) => operation === 'GetObject' && /\.img/.test(details['Key'] ?? ''),
  ).length;

for (const source of oneIn(2, ['direct', 'volume'])) {
  test(`from ${source}: disk, tags and description are those of the original; zeros are not written`, async (t) => {
    const tags = { mine: 'migrate', Name: 'web', 'cost centre': '4711' };
    const { lab, snapshotId } = await archived(t, { tags }, ['--source', source, '--tag', 'mine']);
    await lab.control.setDelays({ snapshotPending: 300 });
    const done = await runRestore(lab, [snapshotId, '--tag', 'mine']);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    const [made, ...others] = await snapshotsBut(lab, snapshotId);
    assert.equal(others.length, 0);
    assert.equal(recordsOf(done).find(({ code }) => code === 'object.restored')?.['target'], made?.SnapshotId);
    assert.deepEqual([made?.State, made?.Encrypted, made?.Description], ['completed', false, 'before the upgrade']);
    assert.deepEqual(
      new Map(made?.Tags?.map(({ Key, Value }) => [Key, Value])),
      new Map([
        ['Name', 'web'],
        ['cost centre', '4711'],
      ]),
    );
    await assertSameBytes(imageOf(lab, made?.SnapshotId ?? ''), imageOf(lab, snapshotId));
    assert.ok((await putsIn(lab)) < 100);
  });
}

test('encrypted: every block is written, because unwritten blocks show noise', async (t) => {
  const { lab, snapshotId } = await archived(t, { encrypted: true });
  const done = await runRestore(lab, [snapshotId]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const [made] = await snapshotsBut(lab, snapshotId);
  assert.equal(made?.Encrypted, true);
  assert.equal(await putsIn(lab), 2048);
  // A block that was not written would show noise in a volume of the new snapshot.
  const again = ['--snapshots', made?.SnapshotId ?? '', '--dd', '--source', 'volume'];
  assert.equal((await runMigrate(lab, again)).code, 0);
  const file = `${lab.directory}/again.img`;
  const back = ['restore', made?.SnapshotId ?? '', '--bucket', BUCKET, '--to-file', file];
  assert.equal((await runCli(lab.env, back)).code, 0);
  await assertSameBytes(file, imageOf(lab, snapshotId));
});

test('from an encrypted archive: all sealed tags except the state tag are restored, so that it is not migrated again', async (t) => {
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, 'ops@example.com');
  const lab = await labForTest(t);
  const many = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`tag ${index}`, `a, b; ${index}!`]));
  const { snapshotId } = await addSnapshotOf(lab, GPT, { tags: { mine: 'migrate', ...many }, description: 'secret' });
  const flags = ['--all', '--tag', 'mine', '--dd', '--source', 'direct', '--gpg-recipient', 'ops@example.com'];
  assert.equal((await runMigrate(lab, flags, { env })).code, 0);
  const done = await runCli({ ...lab.env, ...env }, [
    'restore',
    snapshotId,
    '--bucket',
    BUCKET,
    '--json',
    '--to-snapshot',
    '--tag',
    'mine',
  ]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const [made] = await snapshotsBut(lab, snapshotId);
  assert.equal(made?.Description, 'secret');
  assert.deepEqual(await tagsOf(lab, made?.SnapshotId ?? ''), many);
  await assertSameBytes(imageOf(lab, made?.SnapshotId ?? ''), imageOf(lab, snapshotId));
});

test('a damaged archive leaves no snapshot', async (t) => {
  for (const source of ['direct', 'volume']) {
    const { lab, snapshotId } = await archived(t, {}, ['--source', source]);
    const Key = await keyEnding(lab, '.img.lz4');
    const { Body, Metadata } = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
    const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
    const middle = bytes.length >> 2;
    bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
    for (const damaged of [bytes, bytes.subarray(0, middle)]) {
      await lab.s3.send(
        new PutObjectCommand({ Bucket: BUCKET, Key, Body: damaged, ...(Metadata ? { Metadata } : {}) }),
      );
      const done = await runRestore(lab, [snapshotId]);
      assert.equal(done.code, 12, done.stdout + done.stderr);
      assert.deepEqual(await snapshotsBut(lab, snapshotId), []);
    }
  }
});

const FAULTS: [string, FaultAction, number, number][] = [
  ['throttled', { kind: 'error', code: 'RequestThrottledException', status: 400 }, 3, 0],
  ['connections lost', { kind: 'reset' }, 3, 0],
  ['access denied', { kind: 'error', code: 'AccessDeniedException', status: 403 }, 1000, 1],
];

for (const [name, action, times, code] of FAULTS) {
  test(`${name} while blocks are written: ${code === 0 ? 'the restore succeeds' : 'it fails, and leaves no snapshot'}`, async (t) => {
    const { lab, snapshotId } = await archived(t);
    await lab.control.script({ service: 'ebs', operation: 'PutSnapshotBlock', skip: 5, times, action });
    const done = await runRestore(lab, [snapshotId]);
    await lab.control.clearFaults();
    assert.equal(done.code, code, done.stdout + done.stderr);
    const made = await snapshotsBut(lab, snapshotId);
    assert.equal(made.length, code === 0 ? 1 : 0);
    if (code === 0) await assertSameBytes(imageOf(lab, made[0]?.SnapshotId ?? ''), imageOf(lab, snapshotId));
  });
}

test('Ctrl+C: the unfinished snapshot is deleted', async (t) => {
  const { lab, snapshotId } = await archived(t);
  const hang = {
    service: 'ebs',
    operation: 'PutSnapshotBlock',
    skip: 3,
    times: 1000,
    action: { kind: 'hang' },
  } as const;
  await lab.control.script(hang);
  const done = await runRestore(lab, [snapshotId], {
    onLine: (line, signal) => {
      if (line.includes('object.progress')) signal('SIGINT');
    },
  });
  await lab.control.clearFaults();
  assert.equal(done.code, 130, done.stdout + done.stderr);
  assert.deepEqual(await snapshotsBut(lab, snapshotId), []);
});

test('if CompleteSnapshot fails, the snapshot is deleted; if the run is killed before the response, it is resumed', async (t) => {
  const { lab, snapshotId } = await archived(t);
  const refuse = { kind: 'error', code: 'ValidationException', status: 400 } as const;
  const complete = { service: 'ebs', operation: 'CompleteSnapshot' } as const;
  await lab.control.script({ ...complete, times: 1, action: refuse });
  const refused = await runRestore(lab, [snapshotId]);
  assert.equal(refused.code, 1, refused.stdout);
  assert.deepEqual(await snapshotsBut(lab, snapshotId), [], 'it is deleted');

  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-complete` };
  await lab.control.script({ ...complete, times: 100, action: { kind: 'hang' } });
  const killed = runRestore(lab, [snapshotId], { env });
  await until(
    async () => (await lab.control.calls()).filter(({ operation }) => operation === complete.operation).length > 1,
  );
  killFamily(env.SNAP_TO_S3_TEST_RUN);
  assertKilled(await killed);
  await lab.control.clearFaults();
  const [left] = await snapshotsBut(lab, snapshotId);
  const shown = await runCli(lab.env, ['clean', '--bucket', BUCKET, '--yes', '--older-than', '0']);
  assert.match(
    shown.stdout,
    new RegExp(`${left?.SnapshotId}: snapshot .*created by restore --to-snapshot`),
    shown.stderr,
  );
  assert.match(shown.stdout, new RegExp(`delete-snapshot --snapshot-id ${left?.SnapshotId}`));
  const rest = await runRestore(lab, [snapshotId]);
  assert.equal(rest.code, 0, rest.stdout + rest.stderr);
  const [made, ...others] = await snapshotsBut(lab, snapshotId);
  assert.deepEqual([made?.SnapshotId, made?.State, others.length], [left?.SnapshotId, 'completed', 0]);
  assert.ok(!made?.Tags?.some(({ Key }) => Key === 'snap-to-s3-restore'));
  await assertSameBytes(imageOf(lab, made?.SnapshotId ?? ''), imageOf(lab, snapshotId));
});

/** Whether EBS was asked to complete the new snapshot and has not completed it yet. */
async function isSealed(lab: TestLab, known: string): Promise<boolean> {
  const [made] = await snapshotsBut(lab, known);
  return made?.State === 'pending' && (made.FullSnapshotSizeInBytes ?? 0) > 0;
}

/**
 * Kills a restore after it has written all blocks and before it removes the checkpoint tag.
 * @returns the id of the snapshot that it leaves.
 */
async function killedOnceSealed(lab: TestLab, snapshotId: string, env: Record<string, string>): Promise<string> {
  const run = { ...env, SNAP_TO_S3_TEST_RUN: `${snapshotId}-sealed` };
  await lab.control.script({ service: 'ec2', operation: 'DeleteTags', times: 100, action: { kind: 'hang' } });
  const killed = runRestore(lab, [snapshotId], { env: run });
  const isUnmarking = async () => (await lab.control.calls()).some(({ operation }) => operation === 'DeleteTags');
  await until(async () => (await isSealed(lab, snapshotId)) || (await isUnmarking()));
  killFamily(run.SNAP_TO_S3_TEST_RUN);
  assertKilled(await killed);
  await lab.control.clearFaults();
  const [left] = await snapshotsBut(lab, snapshotId);
  return left?.SnapshotId ?? '';
}

const MANY_TAGS = Object.fromEntries(Array.from({ length: 49 }, (_, index) => [`tag ${index}`, `value ${index}`]));

const SEALED: [string, { isPending: boolean; isEncrypted: boolean }][] = [
  ['EBS still works on it', { isPending: true, isEncrypted: false }],
  ['EBS has completed it', { isPending: false, isEncrypted: false }],
  ['EBS still works on it; the archive has no index of blocks', { isPending: true, isEncrypted: true }],
];

for (const [name, { isPending, isEncrypted }] of SEALED) {
  test(`killed between CompleteSnapshot and the removal of the checkpoint tag, ${name}: the same command finishes the snapshot`, async (t) => {
    const env = { GNUPGHOME: await gpgHome(t) };
    if (isEncrypted) await addKey(env.GNUPGHOME, 'ops@example.com');
    const lab = await labForTest(t);
    const tags = { mine: 'migrate', ...MANY_TAGS };
    const { snapshotId } = await addSnapshotOf(lab, GPT, { tags });
    const flags = isEncrypted ? ['--gpg-recipient', 'ops@example.com'] : [];
    const migrated = await runMigrate(lab, ['--all', '--tag', 'mine', '--dd', '--source', 'direct', ...flags], { env });
    assert.equal(migrated.code, 0, migrated.stderr);
    await lab.control.setDelays({ snapshotPending: isPending ? 3_600_000 : 0 });
    const id = await killedOnceSealed(lab, snapshotId, env);
    assert.ok('snap-to-s3-restore' in (await tagsOf(lab, id)), 'the mark is there');
    const before = [await putsIn(lab), await dataReadsIn(lab)];

    const shown = await runCli(lab.env, ['clean', '--bucket', BUCKET, '--yes', '--older-than', '0']);
    assert.match(
      shown.stdout,
      new RegExp(`${id}: snapshot .*${isPending ? 'all its blocks are written' : 'completed'}`),
    );
    assert.match(shown.stdout, /run the same restore again/);
    const rest = await runRestore(lab, [snapshotId], {
      env,
      onLine: (line) => {
        if (line.includes('restore.continued')) void lab.control.setDelays({ snapshotPending: 0 });
      },
    });
    assert.equal(rest.code, 0, rest.stdout + rest.stderr);
    const restored = recordsOf(rest).find(({ code }) => code === 'object.restored');
    assert.equal(restored?.['target'], id);
    const [made, ...others] = await snapshotsBut(lab, snapshotId);
    assert.deepEqual([made?.SnapshotId, made?.State, others.length], [id, 'completed', 0]);
    assert.deepEqual([await putsIn(lab), await dataReadsIn(lab)], before, 'nothing is written or read again');
    assert.deepEqual(await tagsOf(lab, id), tags);
    await assertSameBytes(imageOf(lab, id), imageOf(lab, snapshotId));
    const again = await runRestore(lab, [snapshotId], { env });
    assert.equal(again.code, 0, again.stdout + again.stderr);
    assert.equal((await snapshotsBut(lab, snapshotId)).length, 2, 'what is finished is not taken for another restore');
  });
}

test('if a machine is terminated while EBS completes the snapshot, any machine finishes the restore', async (t) => {
  const { lab, snapshotId } = await archived(t);
  await lab.control.setDelays({ snapshotPending: 3_600_000 });
  const taken = runRestore(lab, [snapshotId]);
  await until(() => isSealed(lab, snapshotId));
  await lab.control.setSpotAction(NOTICE);
  const left = await taken;
  await lab.control.setSpotAction(null);
  assert.equal(left.code, 130, left.stdout + left.stderr);
  const { id } = recordsOf(left).find(({ code }) => code === 'restore.completing') ?? {};
  const mark = (await tagsOf(lab, String(id)))['snap-to-s3-restore'] ?? '';
  assert.equal(mark.split(' ')[1], '-', 'no process holds it');
  await lab.control.setDelays({ snapshotPending: 0 });
  const rest = await runRestore(lab, [snapshotId]);
  assert.equal(rest.code, 0, rest.stdout + rest.stderr);
  assert.equal(recordsOf(rest).find(({ code }) => code === 'object.restored')?.['target'], id);
  assert.equal((await snapshotsBut(lab, snapshotId)).length, 1);
  assert.ok(!('snap-to-s3-restore' in (await tagsOf(lab, String(id)))));
});

/** Kills a restore while it writes its first blocks. Returns the id of the snapshot that it leaves. */
async function killedAtFirstBlock(lab: TestLab, snapshotId: string, env: Record<string, string> = {}): Promise<string> {
  const run = { ...env, SNAP_TO_S3_TEST_RUN: `${snapshotId}-first` };
  await lab.control.script({ service: 'ebs', operation: 'PutSnapshotBlock', times: 100, action: { kind: 'hang' } });
  const killed = runRestore(lab, [snapshotId], { env: run });
  await until(async () => (await putsIn(lab)) > 0);
  killFamily(run.SNAP_TO_S3_TEST_RUN);
  assertKilled(await killed);
  await lab.control.clearFaults();
  const [left] = await snapshotsBut(lab, snapshotId);
  return left?.SnapshotId ?? '';
}

test('a snapshot of a killed restore that EBS canceled is still listed by clean', async (t) => {
  const { lab, snapshotId } = await archived(t);
  const id = await killedAtFirstBlock(lab, snapshotId);
  const clean = () => runCli(lab.env, ['clean', '--bucket', BUCKET, '--yes', '--older-than', '0']);
  assert.match((await clean()).stdout, new RegExp(`${id}: snapshot .*not completed, at least 0 blocks`));
  await lab.control.setDelays({ snapshotTimeout: -1 });
  const [canceled] = await snapshotsBut(lab, snapshotId);
  assert.equal(canceled?.State, 'error');
  const { stdout } = await clean();
  assert.match(stdout, new RegExp(`${id}: snapshot .*EBS canceled it`));
  assert.match(stdout, new RegExp(`it cannot be resumed; delete it: aws ec2 delete-snapshot --snapshot-id ${id}`));
  await lab.control.setDelays({ snapshotTimeout: 3_600_000 });
});

test('with the maximum number of tags, the checkpoint tag comes first: the restore resumes, and sets all tags at the end', async (t) => {
  const tags = { mine: 'migrate', ...MANY_TAGS };
  const { lab, snapshotId } = await archived(t, { tags }, ['--source', 'direct', '--tag', 'mine']);
  const id = await killedAtFirstBlock(lab, snapshotId);
  const found = Object.keys(await tagsOf(lab, id));
  assert.deepEqual([found.length, found.includes('snap-to-s3-restore')], [50, true]);
  const shown = await runCli(lab.env, ['clean', '--bucket', BUCKET]);
  assert.match(shown.stdout, new RegExp(`${id}: snapshot .*created by restore --to-snapshot`));
  const done = await runRestore(lab, [snapshotId]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const [made, ...others] = await snapshotsBut(lab, snapshotId);
  assert.deepEqual([made?.SnapshotId, made?.State, others.length], [id, 'completed', 0]);
  assert.deepEqual(await tagsOf(lab, id), tags);
});

test('after a kill, and after a machine was terminated, the next run resumes with the same snapshot', async (t) => {
  const { lab, snapshotId } = await archived(t, { encrypted: true });
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-snapshot` };
  const hangAfter = (skip: number) =>
    lab.control.script({ service: 'ebs', operation: 'PutSnapshotBlock', skip, times: 1000, action: { kind: 'hang' } });
  const noted = async () => {
    const [made] = await snapshotsBut(lab, snapshotId);
    const value = made?.Tags?.find(({ Key }) => Key === 'snap-to-s3-restore')?.Value ?? '';
    return { id: made?.SnapshotId, holder: value.split(' ')[1], block: Number(value.split(' ')[2] ?? 0) };
  };
  await hangAfter(1100);
  const killed = runRestore(lab, [snapshotId], { env });
  await until(async () => (await noted()).block >= 1024);
  killFamily(env.SNAP_TO_S3_TEST_RUN);
  assertKilled(await killed);
  await lab.control.clearFaults();
  const { id } = await noted();
  const before = await putsIn(lab);
  await hangAfter(100);
  const taken = await runRestore(lab, [snapshotId], {
    onLine: (line) => {
      if (line.includes('restore.continued')) void lab.control.setSpotAction(NOTICE);
    },
  });
  await lab.control.clearFaults();
  await lab.control.setSpotAction(null);
  assert.equal(taken.code, 130, taken.stdout + taken.stderr);
  assert.match(taken.stdout, /restore\.unfinished/);
  assert.deepEqual({ ...(await noted()), block: 0 }, { id, holder: '-', block: 0 });
  const rest = await runRestore(lab, [snapshotId]);
  assert.equal(rest.code, 0, rest.stdout + rest.stderr);
  const continued = recordsOf(rest).find(({ code }) => code === 'restore.continued');
  assert.ok(Number(continued?.['bytes']) >= 2 ** 29, JSON.stringify(continued));
  assert.ok((await putsIn(lab)) - before <= 2 * 1024 + 64, 'blocks before the note are not written again');
  const [made, ...others] = await snapshotsBut(lab, snapshotId);
  assert.deepEqual([made?.SnapshotId, made?.State, others.length], [id, 'completed', 0]);
  assert.deepEqual(made?.Tags?.map(({ Key }) => Key).sort(), ['Name', 'cost centre']);
  await assertSameBytes(imageOf(lab, id ?? ''), imageOf(lab, snapshotId));
});
