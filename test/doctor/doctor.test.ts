/** `doctor`: all well on a good night, and each thing that would hurt is named with what to do. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CreateTagsCommand } from '@aws-sdk/client-ec2';
import {
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { keysIn } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf, writesIn } from '../support/ec2-state.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, labForTest, recordsOf, runCli, type TestLab } from '../support/lab.ts';

const RULES = {
  Bucket: BUCKET,
  LifecycleConfiguration: {
    Rules: [
      {
        ID: 'uploads',
        Status: 'Enabled' as const,
        Filter: { Prefix: '' },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
      },
    ],
  },
};

async function examine(lab: TestLab, argv: readonly string[] = [], env: Record<string, string> = {}) {
  const done = await runCli({ ...lab.env, ...env }, ['doctor', '--bucket', BUCKET, '--json', ...argv]);
  const findings = recordsOf(done).filter(({ code }) => code === 'doctor.finding') as unknown as Finding[];
  return { done, findings, bad: findings.filter(({ verdict }) => verdict !== 'ok') };
}

interface Finding {
  check: string;
  verdict: string;
  detail: string;
  hint: string | null;
}

async function goodNight(t: TestContext): Promise<{ lab: TestLab; snapshotId: string }> {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  await lab.s3.send(new PutBucketLifecycleConfigurationCommand(RULES));
  return { lab, snapshotId };
}

test('doctor finds no problem in a good setup, and changes nothing', async (t) => {
  const { lab, snapshotId } = await goodNight(t);
  const before = (await writesIn(lab)).length;
  const { done, findings, bad } = await examine(lab);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.doesNotMatch(done.stderr, /stream/i, 'the SDK warns of nothing');
  assert.deepEqual(
    bad.filter(({ check }) => check !== 'filesystems'),
    [],
  );
  for (const check of ['root', 'tools', 'instance', 'snapshots', 'clock', 'versioning', 'object lock', 'lifecycle'])
    assert.ok(
      findings.some((finding) => finding.check === check),
      check,
    );
  // Dry runs, and a conditional write that no object fulfils.
  assert.deepEqual((await writesIn(lab)).slice(before).sort(), [
    'CreateTags',
    'CreateVolume',
    'PutObject',
    'PutObject',
  ]);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
  assert.deepEqual(await keysIn(lab), []);
});

test('harmful rules of the bucket are reported', async (t) => {
  const { lab } = await goodNight(t);
  const [rule] = RULES.LifecycleConfiguration.Rules;
  const Rules = [
    { ...rule, ID: 'soon', AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } },
    { ID: 'old', Status: 'Enabled' as const, Filter: { Prefix: 'vol-' }, Expiration: { Days: 30 } },
    { ID: 'logs', Status: 'Enabled' as const, Filter: { Prefix: 'logs/' }, Expiration: { Days: 1 } },
    { ID: 'off', Status: 'Disabled' as const, Filter: { Prefix: '' }, Expiration: { Days: 1 } },
  ];
  const lifecycle = { Bucket: BUCKET, LifecycleConfiguration: { Rules } };
  await lab.s3.send(new PutBucketLifecycleConfigurationCommand(lifecycle as never));
  const VersioningConfiguration = { Status: 'Enabled' as const };
  await lab.s3.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration }));
  const ObjectLockConfiguration = {
    ObjectLockEnabled: 'Enabled' as const,
    Rule: { DefaultRetention: { Mode: 'COMPLIANCE' as const, Days: 90 } },
  };
  await lab.s3.send(new PutObjectLockConfigurationCommand({ Bucket: BUCKET, ObjectLockConfiguration }));
  const { done, bad } = await examine(lab);
  assert.equal(done.code, 1, done.stdout);
  const said = bad.map(({ verdict, detail }) => `${verdict}: ${detail}`).join('\n');
  assert.match(said, /problem: rule "old" for vol- DELETES archives after 30 days/);
  assert.match(said, /warning: rule "soon" for all keys aborts uploads after 1 day,/);
  assert.match(said, /warning: on, without a lifecycle rule for old versions/);
  assert.match(said, /warning: default retention COMPLIANCE 90/);
  assert.doesNotMatch(said, /"off"/);
  const elsewhere = await examine(lab, ['--prefix', 'team']);
  assert.doesNotMatch(elsewhere.done.stdout, /"old"/);
});

test('a new snapshot left by an interrupted restore is reported with advice', async (t) => {
  const { lab } = await goodNight(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const Tags = [{ Key: 'snap-to-s3-restore', Value: '0123456789abcdef0123456789abcdef - 7' }];
  await lab.ec2.send(new CreateTagsCommand({ Resources: [snapshotId], Tags }));
  const { done, bad } = await examine(lab);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const left = bad.find(({ check }) => check === 'new snapshots');
  assert.match(left?.detail ?? '', new RegExp(`interrupted restores left ${snapshotId} \\(created by restore`));
  assert.match(left?.hint ?? '', new RegExp(`${snapshotId}: keep the snapshot; run the same restore again`));
});

test('missing permissions are reported', async (t) => {
  const { lab } = await goodNight(t);
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('reader', {
    Statement: [{ Effect: 'Allow', Action: ['ec2:Describe*', 's3:List*'], Resource: '*' }],
  });
  const { done, bad } = await examine(lab, [], {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  });
  assert.equal(done.code, 1, done.stdout);
  assert.deepEqual(
    bad.filter(({ check }) => check !== 'filesystems').map(({ check, verdict }) => `${verdict} ${check}`),
    [
      'problem permission CreateVolume',
      'warning permission ebs',
      'problem permission CreateTags',
      'warning versioning',
      'warning object lock',
      'warning lifecycle',
      'problem permission PutObject',
    ],
  );
  for (const { hint } of bad) assert.ok(hint, 'each says what to do');
});

test('a missing instance, bucket, tool or trusted key is reported', async (t) => {
  const { lab } = await goodNight(t);
  const home = await gpgHome(t);
  await addKey(home, 'soon@example.com', '10d');
  const bin = join(lab.directory, 'bin');
  mkdirSync(bin);
  for (const tool of [
    'tar',
    'sfdisk',
    'blkid',
    'mount',
    'umount',
    'losetup',
    'getfattr',
    'mkfifo',
    'gpg',
    'gpg-agent',
  ]) {
    const found = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'].map((path) => join(path, tool)).find(existsSync);
    if (found) symlinkSync(found, join(bin, tool));
  }
  const env = {
    PATH: bin,
    GNUPGHOME: home,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1',
    AWS_REGION: 'us-east-1',
  };
  const recipients = ['--gpg-recipient', 'soon@example.com', '--gpg-recipient', 'nobody@example.com'];
  const { done, bad } = await examine(lab, ['--compression', 'zstd', ...recipients], env);
  assert.equal(done.code, 1, done.stdout);
  const said = bad.map(({ verdict, check, detail }) => `${verdict} ${check}: ${detail}`).join('\n');
  assert.match(said, /problem tool zstd: not installed: zstd/);
  assert.match(said, /warning gpg key soon@example.com: trusted, expires .*, in (9|10) days/);
  assert.match(said, /problem gpg key nobody@example.com: .*not in the keyring/);
  assert.match(said, /problem instance: the instance metadata service does not answer/);
  const nowhere = await runCli(lab.env, ['doctor', '--bucket', 'no-such-bucket']);
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stdout, /problem {2}bucket: there is no bucket no-such-bucket/);
});

test('direct reads need no instance, and are tried with one block', async (t) => {
  const { lab } = await goodNight(t);
  const nobody = { AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1' };
  const direct = await examine(lab, ['--source', 'direct'], nobody);
  assert.equal(direct.done.code, 0, direct.done.stdout + direct.done.stderr);
  const names = direct.findings.map(({ check }) => check);
  assert.ok(names.includes('permission GetSnapshotBlock'), names.join());
  for (const check of ['instance', 'attachments', 'permission CreateVolume']) assert.ok(!names.includes(check), check);
  const action = { kind: 'error', code: 'AccessDeniedException', status: 403 } as const;
  for (const [source, code, verdict] of [
    ['direct', 1, 'problem'],
    ['auto', 0, 'warning'],
  ] as const) {
    await lab.control.script({ service: 'ebs', operation: 'GetSnapshotBlock', action });
    const { done, bad } = await examine(lab, ['--source', source]);
    assert.equal(done.code, code, done.stdout + done.stderr);
    assert.equal(bad.find(({ check }) => check === 'permission GetSnapshotBlock')?.verdict, verdict);
  }
});
