/** The documented policies are sufficient, and each of their actions is needed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AbortMultipartUploadCommand, CreateMultipartUploadCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { Policy } from '../../lab/core/policy.ts';
import { enableObjectLock, keyEnding, keysIn, putClaim } from '../support/archives.ts';
import { csv, line } from '../support/costs/bills.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, runCli, runMigrate, runValidate, type TestLab } from '../support/lab.ts';
import { makeLineage } from '../support/lineages/lineage.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';
import { oneIn } from '../support/sampled.ts';

const TO_MIGRATE = { tags: { 'snap-to-s3': 'migrate' } };

interface Document extends Policy {
  Statement: Exclude<Policy['Statement'], unknown[]>[];
}

function policyFor(command: string): Document {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'permissions.md'), 'utf8');
  const found = new RegExp(`<!-- policy: ${command} -->\\s*\`\`\`json\\n([\\s\\S]*?)\`\`\``).exec(text);
  assert.ok(found?.[1], `docs/permissions.md has no policy for ${command}`);
  return JSON.parse(found[1].replaceAll('BUCKET', BUCKET)) as Document;
}

async function validateAs(lab: TestLab, policy: Policy, argv: string[]) {
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('prover', policy);
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  return runValidate(lab, argv, { env });
}

async function migrateAs(lab: TestLab, policy: Policy, argv: string[] = []) {
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('worker', policy);
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  return runMigrate(lab, ['--all', ...argv], { env });
}

test('migrate: its policy suffices', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': 'migrate', 'snap-to-s3-id': '1', Name: 'x' } });
  const policy = policyFor('migrate');
  const done = await migrateAs(lab, policy);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /verified: \d blocks? compared with the snapshot/);
  for (const Action of policy.Statement.find(({ Sid }) => Sid === 'CompareDevices')?.Action ?? []) {
    await addSnapshotOf(lab);
    const Statement = policy.Statement.map((one) => (one.Sid === 'CompareDevices' ? { ...one, Action } : one));
    const told = await migrateAs(lab, { ...policy, Statement });
    assert.equal(told.code, 0, told.stderr);
    assert.match(told.stderr, /identified only by its serial number; its blocks could not be compared .*perform: ebs:/);
  }
});

test('migrate --incremental: the policies suffice, and without ListChangedBlocks hashes are compared', async (t) => {
  const lab = await labForTest(t);
  const [first, second] = await makeLineage(lab, [{ write: [0, 5] }, { write: [5] }, { write: [5] }], TO_MIGRATE);
  const [base, more] = [policyFor('migrate-direct'), policyFor('migrate-incremental')];
  const as = async (Statement: Document['Statement'], id = '') => {
    const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('worker', { ...base, Statement });
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    return runMigrate(lab, ['--incremental', '--source', 'direct', ...(id ? ['--snapshots', id] : ['--all'])], { env });
  };
  const all = [...base.Statement, ...more.Statement];
  const kill = (line: string, signal: (name: NodeJS.Signals) => void) =>
    line.includes('index stored') && signal('SIGKILL');
  assertKilled(
    await runMigrate(lab, ['--incremental', '--source', 'direct', '--snapshots', first?.snapshotId ?? ''], {
      onLine: kill,
    }),
  );
  for (const { snapshotId } of [first, second].flatMap((point) => point ?? [])) {
    const done = await as(all, snapshotId);
    assert.equal(done.code, 0, done.stderr);
  }
  const told = await as(all.filter(({ Sid }) => Sid !== 'CompareSnapshots'));
  assert.equal(told.code, 0, told.stderr);
  assert.match(told.stderr, /whose SHA-256 differs, because .*ebs:ListChangedBlocks/);
});

test('migrate --lock-mode: its policy suffices, and without any one action nothing is created', async (t) => {
  const lab = await labForTest(t);
  await enableObjectLock(lab);
  const [point] = await makeLineage(lab, [{ write: [0, 5] }], TO_MIGRATE);
  const [base, locks] = [policyFor('migrate-direct'), policyFor('migrate-lock')];
  const flags = ['--dd', '--source', 'direct', '--lock-mode', 'compliance', '--lock-days', '1'];
  for (const { statement, index, action } of needsOf(locks, () => true)) {
    const rest = [statement.Action ?? []].flat().filter((name) => name !== action);
    const Statement = [...base.Statement, ...locks.Statement.with(index, { ...statement, Action: rest })];
    const refused = await migrateAs(lab, { ...base, Statement }, flags);
    assert.equal(refused.code, 1, refused.stderr);
    assert.match(refused.stderr, new RegExp(`what to do: allow ${action},`));
  }
  assert.deepEqual(await keysIn(lab), []);
  const find = locks.Statement.filter(({ Sid }) => Sid === 'FindObjectLock');
  const lists = base.Statement.filter(({ Sid = '' }) => ['ListResources', 'ListBucket'].includes(Sid));
  const planned = await migrateAs(lab, { ...base, Statement: [...lists, ...find] }, [...flags, '--dry-run']);
  assert.equal(planned.code, 0, planned.stderr);
  const done = await migrateAs(lab, { ...base, Statement: [...base.Statement, ...locks.Statement] }, flags);
  assert.equal(done.code, 0, done.stderr);
  assert.ok((await keysIn(lab)).some((key) => key.includes(point?.snapshotId ?? '?')));
});

test('migrate by direct reads: the policy suffices, and each of its EBS actions is needed', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': 'migrate', 'snap-to-s3-id': '1', Name: 'x' } });
  const policy = policyFor('migrate-direct');
  const direct = ['--dd', '--source', 'direct'];
  const index = policy.Statement.findIndex(({ Sid }) => Sid === 'ReadSnapshots');
  const statement = policy.Statement[index];
  assert.ok(statement);
  for (const Action of ['ebs:ListSnapshotBlocks', 'ebs:GetSnapshotBlock']) {
    const Statement = policy.Statement.with(index, { ...statement, Action });
    const failed = await migrateAs(lab, { ...policy, Statement }, direct);
    assert.equal(failed.code, 1, failed.stderr);
    assert.match(failed.stderr, /perform: ebs:(Get|List)SnapshotBlocks? on/);
  }
  const done = await migrateAs(lab, policy, direct);
  assert.equal(done.code, 0, done.stderr);
});

test('validate: its policy suffices; --archive-only needs only read access', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const policy = policyFor('validate');
  const done = await validateAs(lab, policy, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  const Statement = policy.Statement.filter(({ Sid = '' }) => ['ListBucket', 'ReadArchives'].includes(Sid));
  const alone = await validateAs(lab, { ...policy, Statement }, ['--all', '--archive-only']);
  assert.equal(alone.code, 0, alone.stderr);

  const key = await keyEnding(lab, '.tar.lz4');
  await lab.control.script({
    service: 's3',
    operation: 'GetObject',
    match: { key },
    times: 99,
    action: { kind: 'flip', at: 200 },
  });
  const damaged = await validateAs(lab, { ...policy, Statement }, ['--all', '--archive-only']);
  await lab.control.clearFaults();
  assert.equal(damaged.code, 12, damaged.stderr);
  assert.match(
    damaged.stderr,
    /does not record that its archive differs, .*: .*\n {2}what to do: migrate the snapshot again with --replace/,
  );
});

test('validate: without any one of its actions it fails and names the action', async (t) => {
  const policy = policyFor('validate');
  const own = /^(ReadArchives|UpdateManifests|ListBucket)$/;
  const needs = needsOf(policy, () => true).filter(({ statement: { Sid = '' } }) => own.test(Sid));
  for (const { statement, index, action } of needs) {
    await t.test(`${statement.Sid}: ${action}`, async (inner) => {
      const lab = await labForTest(inner);
      await addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': 'migrate', Name: 'x' } });
      assert.equal((await runMigrate(lab, ['--all'])).code, 0);
      const rest = [statement.Action ?? []].flat().filter((name) => name !== action);
      const Statement = policy.Statement.with(index, { ...statement, Action: rest });
      const done = await validateAs(lab, { ...policy, Statement }, ['--all']);
      assert.notEqual(done.code, 0);
      assert.match(done.stderr, /403|perform: s3:/);
      assert.match(done.stderr, /docs\/permissions\.md/);
    });
  }
});

test('migrate: without any one of its actions it fails and names the action', async (t) => {
  const policy = policyFor('migrate');
  /** Actions that are used only after a failure, in a race, or for clean-up, and not by a successful run. */
  const spare = new Set([
    'ebs:ListSnapshotBlocks',
    'ebs:GetSnapshotBlock',
    's3:AbortMultipartUpload',
    's3:GetObject',
    's3:ListMultipartUploadParts',
    'ec2:DeleteTags',
  ]);
  for (const { statement, index, action } of oneIn(
    4,
    needsOf(policy, (name) => !spare.has(name)),
  )) {
    await t.test(`${statement.Sid}: ${action}`, async (inner) => {
      const kinds = ['volume', 'attachment', 'loop-device', 'device-link'] as const;
      const lab = await labForTest(inner, { allowLeftovers: kinds });
      await addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': 'migrate', Name: 'x' } });
      const rest = [statement.Action ?? []].flat().filter((name) => name !== action);
      const Statement = policy.Statement.with(index, { ...statement, Action: rest });
      const done = await migrateAs(lab, { ...policy, Statement }, ['--wait-limit', '1']);
      assert.notEqual(done.code, 0);
      // HEAD answers have no body, so S3 cannot say which action was missing.
      const named = action === 's3:ListBucket' ? /use bucket backups.*403/ : new RegExp(`perform: ${action} on`);
      assert.match(done.stderr, named);
      assert.match(done.stderr, /docs\/permissions\.md|LEFT BEHIND/);
    });
  }
});

/** Returns the needed actions of a policy, each with its statement. */
const needsOf = (policy: Document, isNeeded: (action: string) => boolean) =>
  policy.Statement.flatMap((statement, index) =>
    [statement.Action ?? []]
      .flat()
      .filter(isNeeded)
      .map((action) => ({ statement, index, action })),
  );

test('clean: its policy suffices; listing needs less', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const env = { SNAP_TO_S3_TEST_RUN: `${snapshotId}-policy` };
  assertKilled(
    await runMigrate(lab, ['--all', '--json'], {
      env,
      onLine: (line) => {
        if (line.includes('"partition.mounted"')) killFamily(env.SNAP_TO_S3_TEST_RUN);
      },
    }),
  );
  const policy = policyFor('clean');
  const looks = policy.Statement.filter(({ Sid = '' }) => ['ListResources', 'ListBucket'].includes(Sid));
  const reads = { Effect: 'Allow' as const, Action: 's3:GetObject', Resource: `arn:aws:s3:::${BUCKET}/*` };
  const looked = await cleanAs(lab, { ...policy, Statement: [...looks, reads] }, []);
  assert.equal(looked.code, 0, looked.stderr);
  const done = await cleanAs(lab, policy, ['--yes']);
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(await lab.control.leftovers(), []);
});

test('expire: its policy suffices, and each statement is needed; a restore can pin its archive', async (t) => {
  const lab = await labForTest(t);
  const [first] = await makeLineage(lab, [{ write: [0, 5] }, { write: [5] }], TO_MIGRATE);
  assert.equal((await runMigrate(lab, ['--all', '--incremental', '--source', 'direct'])).code, 0);
  const policy = policyFor('expire');
  const as = async (Statement: Document['Statement'], argv: string[]) => {
    const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('expirer', { ...policy, Statement });
    const env = { ...lab.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    return runCli(env, [...argv, '--bucket', BUCKET]);
  };
  const expire = ['expire', '--keep-last', '1', '--yes'];
  for (const { Sid } of policy.Statement) {
    const refused = await as(
      policy.Statement.filter((statement) => statement.Sid !== Sid),
      expire,
    );
    assert.equal(refused.code, 1, `${Sid}: ${refused.stdout}`);
    assert.match(refused.stdout + refused.stderr, /ACCESS_DENIED|AccessDenied|HTTP 403|without the permission to read/);
  }
  const marked = await as(policy.Statement, expire);
  assert.equal(marked.code, 0, marked.stdout + marked.stderr);
  const reads = policyFor('restore').Statement;
  const restore = ['restore', first?.snapshotId ?? '', '--to-file', join(lab.directory, 'disk.img')];
  const unpinned = await as(reads, restore);
  assert.equal(unpinned.code, 1, unpinned.stderr);
  assert.match(unpinned.stderr, /was marked for removal .*, and this run may not protect it/);
  const pinned = await as([...reads, ...policyFor('pin').Statement], restore);
  assert.equal(pinned.code, 0, pinned.stderr);
  await lab.control.setClock(new Date(Date.now() + 8 * 86_400_000));
  const removed = await as(policy.Statement, expire);
  assert.equal(removed.code, 0, removed.stdout + removed.stderr);
  assert.match(removed.stdout, /: removed /);
});

async function cleanAs(lab: TestLab, policy: Policy, argv: string[]) {
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('cleaner', policy);
  const env = { ...lab.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const mounts = ['--mount-point', join(lab.directory, 'mnt')];
  return runCli(env, ['clean', '--bucket', BUCKET, '--older-than', '0', ...mounts, ...argv]);
}

test('doctor: with the policy of migrate and its own, it finds no problem, and leftovers of a killed run', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const upload = { Bucket: BUCKET, Key: `vol-1/2026-01-01T00:00:00+00:00 ${snapshotId}.1.tar.lz4` };
  const { UploadId = '' } = await lab.s3.send(new CreateMultipartUploadCommand(upload));
  const uploads = [{ key: upload.Key, uploadId: UploadId, checkpoints: [] }];
  await putClaim(lab, {
    snapshot: snapshotId,
    lifeSeconds: 60,
    progress: { fingerprint: '', objects: [], uploads },
  });
  const Statement = [...policyFor('migrate').Statement, ...policyFor('doctor').Statement];
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('doctor', { Statement });
  const env = { ...lab.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const done = await runCli(env, ['doctor', '--bucket', BUCKET]);
  assert.equal(done.code, 0, done.stderr);
  assert.doesNotMatch(done.stdout + done.stderr, /the permission is missing|leftovers: not checked/);
  assert.match(done.stdout, /claims: 1 claim of interrupted runs/);
  assert.match(done.stdout, /uploads: 1 unfinished upload of interrupted runs/);
  await lab.s3.send(new AbortMultipartUploadCommand({ ...upload, UploadId }));
});

test('--dry-run needs only to list', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  const policy = policyFor('migrate');
  const Statement = policy.Statement.filter(({ Sid = '' }) => ['ListResources', 'ListBucket'].includes(Sid));
  const done = await migrateAs(lab, { ...policy, Statement }, ['--dry-run']);
  assert.equal(done.code, 0, done.stderr);
});

test('list: its policy suffices; without EC2 it shows less', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const policy = policyFor('list');
  const listAs = async (Statement: Document['Statement']) => {
    const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('reader', { ...policy, Statement });
    const env = { ...lab.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    return runCli(env, ['list', '--bucket', BUCKET]);
  };
  const done = await listAs(policy.Statement);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout + done.stderr, / {2}complete {2}.*snapshot exists/);
  const bucketOnly = await listAs(policy.Statement.filter(({ Sid }) => Sid === 'ListBucket'));
  assert.equal(bucketOnly.code, 0, bucketOnly.stderr);
  assert.match(bucketOnly.stdout, / {2}unchecked {2}/);
  assert.doesNotMatch(bucketOnly.stdout + bucketOnly.stderr, /snapshot exists/);
  const nothing = await listAs(policy.Statement.filter(({ Sid }) => Sid === 'ListSnapshots'));
  assert.equal(nothing.code, 1);
  assert.match(nothing.stderr, /ACCESS_DENIED/);
});

test('list ARCHIVE and --find: their policy suffices, and all of it is needed; files need only manifests and indexes', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const policy = policyFor('list-files');
  const listAs = async (Statement: Document['Statement'], argv: string[]) => {
    const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('reader', { ...policy, Statement });
    const env = { ...lab.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    return runCli(env, ['list', '--bucket', BUCKET, ...argv]);
  };
  for (const argv of [[snapshotId], ['--find', 'hostname']]) {
    const done = await listAs(policy.Statement, argv);
    assert.equal(done.code, 0, done.stderr);
  }
  for (const { Sid } of policy.Statement) {
    const rest = policy.Statement.filter((statement) => statement.Sid !== Sid);
    assert.match((await listAs(rest, [snapshotId])).stderr, /ACCESS_DENIED/, Sid);
  }
  const few = policy.Statement.map((statement) =>
    statement.Sid === 'ReadArchives'
      ? { ...statement, Resource: ['*.index.zst*', '*.manifest.json'].map((name) => `arn:aws:s3:::${BUCKET}/${name}`) }
      : statement,
  );
  const files = await listAs(few, ['--find', 'hostname']);
  assert.equal(files.code, 0, files.stderr);
  assert.match((await listAs(few, [snapshotId])).stderr, /ACCESS_DENIED/);
  const Key = 'vol-0123456789abcdef0/2017-06-30T22:00:00+00:00 snap-0123456789abcdef0.tar.lz4';
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'old', Tagging: 'Team=red' }));
  const denied = await listAs(few, ['--tag', 'Team=red']);
  assert.equal(denied.code, 1, denied.stderr);
  assert.match(denied.stderr, /perform: s3:GetObjectTagging on/);
  const tagged = await listAs([...few, ...policyFor('list-tags').Statement], ['--tag', 'Team=red']);
  assert.equal(tagged.code, 0, tagged.stderr);
  assert.match(tagged.stdout, /snap-0123456789abcdef0/);
});

test('restore: its policy suffices, and EC2 is not called', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--dd', '--source', 'direct'])).code, 0);
  const policy = policyFor('restore');
  const restoreAs = async (target: string[], Statement: Document['Statement']) => {
    const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('restorer', { ...policy, Statement });
    const env = { ...lab.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    return runCli(env, ['restore', snapshotId, '--bucket', BUCKET, ...target]);
  };
  const toFile = ['--to-file', join(lab.directory, 'disk.img')];
  for (const { Sid } of policy.Statement) {
    const refused = await restoreAs(
      toFile,
      policy.Statement.filter((statement) => statement.Sid !== Sid),
    );
    assert.equal(refused.code, 1, Sid);
    assert.match(refused.stderr, /ACCESS_DENIED|AccessDenied|HTTP 403/);
  }
  const shown = await restoreAs(['--to-snapshot', '--dry-run'], policy.Statement);
  assert.equal(shown.code, 0, shown.stderr);
  const done = await restoreAs(toFile, policy.Statement);
  assert.equal(done.code, 0, done.stderr);
});

test('restore --to-snapshot: its policy suffices, and each writing action is needed', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--dd', '--source', 'direct'])).code, 0);
  const policy = policyFor('restore-snapshot');
  const restoreAs = async (Statement: Document['Statement']) => {
    const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('maker', { ...policy, Statement });
    const env = { ...lab.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    return runCli(env, ['restore', snapshotId, '--bucket', BUCKET, '--to-snapshot']);
  };
  const index = policy.Statement.findIndex(({ Sid }) => Sid === 'WriteSnapshots');
  const statement = policy.Statement[index];
  assert.ok(statement && Array.isArray(statement.Action));
  for (const missing of statement.Action) {
    const Action = statement.Action.filter((action) => action !== missing);
    const refused = await restoreAs(policy.Statement.with(index, { ...statement, Action }));
    assert.equal(refused.code, 1, missing);
    assert.match(refused.stderr, new RegExp(`perform: ${missing} on`));
  }
  const done = await restoreAs(policy.Statement);
  assert.equal(done.code, 0, done.stderr);
});

test('analyze: its policy suffices, and each of its actions is needed', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await lab.control.addSnapshot({ sizeGiB: 1 });
  const month = { month: '2026-09', others: 0, snapshots: [line(snapshotId, 2048, { region: 'us-east-1' })] };
  const report = 'b/r/20260901-20261001/r-00001.csv';
  const manifest = JSON.stringify({ reportKeys: [report] });
  for (const [Key, Body] of [
    [report, csv('legacy', [month], 'daily')],
    ['b/r/20260901-20261001/r-Manifest.json', manifest],
  ] as const) {
    await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
  }
  const policy = policyFor('analyze');
  const analyzeAs = async (name: string, without: string) => {
    const Statement = policy.Statement.map((statement) => ({
      ...statement,
      Action: [statement.Action ?? []].flat().filter((action) => action !== without),
    })).filter(({ Action }) => Action.length > 0);
    const { accessKeyId, secretAccessKey } = await lab.control.addIdentity(name, { ...policy, Statement });
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    return runCli(lab.env, ['analyze', `s3://${BUCKET}/b/r/`], { env });
  };
  const done = await analyzeAs('reader', '');
  assert.equal(done.code, 0, done.stderr);
  assert.doesNotMatch(done.stdout, /could not read the (snapshots|images)/);
  for (const [without, code] of [
    ['s3:ListBucket', 1],
    ['s3:GetObject', 1],
    ['ec2:DescribeSnapshots', 0],
    ['ec2:DescribeImages', 0],
  ] as const) {
    const lacking = await analyzeAs(`without ${without}`, without);
    assert.equal(lacking.code, code, `${without} ${lacking.stderr}`);
    assert.match(lacking.stdout + lacking.stderr, /could not (list|read|look)/, without);
  }
});

test('analyze --ratio-from: its policy suffices, and each of its actions is needed', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const month = { month: '2026-09', others: 0, snapshots: [line(snapshotId, 2048, { region: 'us-east-1' })] };
  const report = csv('legacy', [month], 'daily');
  const policy = policyFor('analyze-ratio');
  const analyzeAs = async (Statement: Document['Statement']) => {
    const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('measurer', { ...policy, Statement });
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    return runCli(lab.env, ['analyze', '--offline', '--ratio-from', BUCKET], { env, input: report });
  };
  const done = await analyzeAs(policy.Statement);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /measured on 1 archive\)/);
  for (const { Sid } of policy.Statement) {
    const refused = await analyzeAs(policy.Statement.filter((statement) => statement.Sid !== Sid));
    assert.equal(refused.code, 1, `${Sid} ${refused.stderr}`);
    assert.match(refused.stderr, /could not (list|read|look)/, Sid);
  }
});

test('analyze --live: its policy suffices', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId, volumeId } = await addSnapshotOf(lab);
  await addSnapshotOf(lab, undefined, { volumeId });
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('looker', policyFor('analyze-live'));
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const done = await runCli(lab.env, ['analyze', '--live'], { env });
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, new RegExp(snapshotId));
  assert.doesNotMatch(done.stdout, /WARNING: (?!prices)/);
});

test('restore --to-volume: its policy suffices, and each action is needed', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume', 'attachment', 'loop-device', 'device-link'] });
  const { snapshotId } = await addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': 'migrate', Name: 'x' } });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const policy = policyFor('restore-volume');
  const restoreAs = async (Statement: Document['Statement']) => {
    const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('maker', { ...policy, Statement });
    const env = { ...lab.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    const flags = ['--mount-point', join(lab.directory, 'mnt'), '--wait-limit', '1'];
    return runCli(env, ['restore', snapshotId, '--bucket', BUCKET, '--to-volume', ...flags]);
  };
  for (const { statement, index, action } of oneIn(
    4,
    needsOf(policy, (name) => /^ec2:(?!DeleteVolume)/.test(name)),
  )) {
    const rest = [statement.Action ?? []].flat().filter((name) => name !== action);
    const refused = await restoreAs(policy.Statement.with(index, { ...statement, Action: rest }));
    assert.equal(refused.code, 1, action);
    assert.match(refused.stderr, new RegExp(`perform: ${action} on`), action);
  }
  const done = await restoreAs(policy.Statement);
  assert.equal(done.code, 0, done.stderr);
});

test('thawing needs one more action', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const flags = ['--dd', '--source', 'direct', '--storage-class', 'DEEP_ARCHIVE'];
  assert.equal((await runMigrate(lab, ['--all', ...flags])).code, 0);
  const policy = policyFor('restore');
  const restoreAs = async (Statement: Document['Statement']) => {
    const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('thawer', { ...policy, Statement });
    const env = { ...lab.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    const target = join(lab.directory, 'disk.img');
    return runCli(env, ['restore', snapshotId, '--bucket', BUCKET, '--to-file', target, '--yes', '--wait']);
  };
  const refused = await restoreAs(policy.Statement);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /ACCESS_DENIED|AccessDenied|HTTP 403/);
  const done = await restoreAs([...policy.Statement, ...policyFor('thaw').Statement]);
  assert.equal(done.code, 0, done.stderr);
});

/** Runs a drill of one snapshot with these permissions. */
async function drillAs(lab: TestLab, Statement: Document['Statement'], snapshotId: string, argv: string[] = []) {
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('auditor', { Statement });
  const env = { ...lab.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const flags = ['--snapshots', snapshotId, '--mount-point', join(lab.directory, 'mnt'), '--wait-limit', '1'];
  return runCli(env, ['drill', '--bucket', BUCKET, ...flags, ...argv]);
}

test('drill: its policy suffices, and all of it is needed; --thaw needs one more action', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const frozen = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--storage-class', 'DEEP_ARCHIVE'])).code, 0);
  const { Statement } = policyFor('drill');
  for (const { Sid } of Statement) {
    const rest = Statement.filter((statement) => statement.Sid !== Sid);
    const refused = await drillAs(lab, rest, snapshotId);
    assert.equal(refused.code, 1, Sid);
    assert.match(refused.stderr, /ACCESS_DENIED|AccessDenied|HTTP 403/, Sid);
  }
  const done = await drillAs(lab, Statement, snapshotId);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /^ {2}caller {4}arn:aws:iam::123456789012:user\/auditor, /m, 'which needs no permission');
  const thaw = ['--thaw', '--yes', '--wait'];
  const cold = await drillAs(lab, Statement, frozen.snapshotId, thaw);
  assert.equal(cold.code, 1, cold.stderr);
  assert.match(cold.stderr, /perform: s3:RestoreObject on/);
  const thawed = await drillAs(lab, [...Statement, ...policyFor('thaw').Statement], frozen.snapshotId, thaw);
  assert.equal(thawed.code, 0, thawed.stderr);
});

test('drill --with-snapshot: its policy suffices, and each action is needed', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume', 'attachment', 'loop-device', 'device-link'] });
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const Statement = [...policyFor('drill').Statement, ...policyFor('drill-snapshot').Statement];
  for (const { statement, action } of oneIn(
    4,
    // Without CompareDevices, the run reports that it could not compare, and continues.
    needsOf(policyFor('drill-snapshot'), () => true).filter(({ statement: { Sid } }) => Sid !== 'CompareDevices'),
  )) {
    const Action = [statement.Action ?? []].flat().filter((name) => name !== action);
    const lacking = Statement.map((other) => (other.Sid === statement.Sid ? { ...other, Action } : other));
    const refused = await drillAs(lab, lacking, snapshotId, ['--with-snapshot']);
    assert.equal(refused.code, 1, `${statement.Sid}: ${action}: ${refused.stderr}`);
    assert.match(refused.stdout + refused.stderr, new RegExp(`perform: ${action} on|LEFT BEHIND`), action);
  }
  const done = await drillAs(lab, Statement, snapshotId, ['--with-snapshot', '--wait-limit', '30']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /and with the snapshot in /);
  const direct = [
    ...policyFor('drill').Statement,
    ...policyFor('migrate-direct').Statement.filter(({ Sid = '' }) => ['ListResources', 'ReadSnapshots'].includes(Sid)),
    ...Statement.filter(({ Sid }) => Sid === 'ClaimSnapshots'),
  ];
  const read = await drillAs(lab, direct, snapshotId, ['--with-snapshot', '--source', 'direct']);
  assert.equal(read.code, 0, read.stderr);
  assert.match(read.stdout, /and with the snapshot in /);
});
