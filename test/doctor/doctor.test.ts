/** `doctor` finds no problem in a good setup, and reports each harmful condition with advice. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CreateTagsCommand } from '@aws-sdk/client-ec2';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import { type ClaimProgress, claimKey, encodeClaim, type Holder, newClaim } from '../../src/archive/claim.ts';
import { enableObjectLock, keysIn } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf, writesIn } from '../support/ec2-state.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, labForTest, recordsOf, runCli, type TestLab } from '../support/lab.ts';
import { pathWithOnly } from '../support/processes/search-path.ts';

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

/** Other stores than S3 of AWS are tried, which `--endpoint-url` selects. */
test('a store that ignores conditions of requests is a problem, and the probe object is always removed', async (t) => {
  const { lab } = await goodNight(t);
  const endpoint = ['--endpoint-url', lab.env['AWS_ENDPOINT_URL_S3'] ?? lab.env['AWS_ENDPOINT_URL'] ?? ''];
  const conditions = async () => {
    const { done, findings } = await examine(lab, endpoint);
    assert.deepEqual(await keysIn(lab), []);
    return { code: done.code, found: findings.find(({ check }) => check === 'conditional requests') };
  };
  const good = await conditions();
  assert.deepEqual([good.code, good.found?.verdict], [0, 'ok'], good.found?.detail);
  const ignoring = (operation: string) =>
    lab.control.script({
      service: 's3',
      operation,
      times: 9,
      action: { kind: 'behaviour', name: 'ignore-conditions' },
    });
  for (const [operation, detail] of [
    ['DeleteObject', /^the store ignores If-Match in DELETE: claims cannot keep two runs apart$/],
    ['PutObject', /^the store ignores If-None-Match in PUT, ignores If-Match in PUT: /],
  ] as const) {
    await ignoring(operation);
    const { code, found } = await conditions();
    assert.deepEqual([code, found?.verdict], [1, 'problem']);
    assert.match(found?.detail ?? '', detail);
    assert.match(found?.hint ?? '', /use a store/);
    await lab.control.clearFaults();
  }
  const refused = { kind: 'error', code: 'NotImplemented', status: 501 } as const;
  await lab.control.script({ service: 's3', operation: 'HeadObject', times: 9, action: refused });
  const { code, found } = await conditions();
  assert.deepEqual([code, found?.verdict], [1, 'problem'], 'the probe is removed after a failure, too');
  await lab.control.clearFaults();
});

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
  // These are dry runs, and conditional writes whose condition no object meets.
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
  assert.match(said, /warning: enabled, with the default retention COMPLIANCE for 90 days/);
  assert.doesNotMatch(said, /"off"|"logs"/);
  const elsewhere = await examine(lab, ['--prefix', 'team']);
  assert.doesNotMatch(elsewhere.done.stdout, /"old"/);
});

/** The findings of a check as lines. */
const linesOf = (findings: readonly Finding[], wanted: string): string[] =>
  findings.filter(({ check }) => check === wanted).map(({ verdict, detail }) => `${verdict}: ${detail}`);

async function setRules(lab: TestLab, ...Rules: object[]): Promise<void> {
  const enabled = Rules.map((rule) => ({ Status: 'Enabled', Filter: { Prefix: '' }, ...rule }));
  const lifecycle = {
    Bucket: BUCKET,
    LifecycleConfiguration: { Rules: [...RULES.LifecycleConfiguration.Rules, ...enabled] },
  };
  await lab.s3.send(new PutBucketLifecycleConfigurationCommand(lifecycle as never));
}

test('rules are judged by what they do to archives', async (t) => {
  const { lab } = await goodNight(t);
  await enableObjectLock(lab);
  const tag = { Key: 'team', Value: 'red' };
  await setRules(
    lab,
    { ID: 'date', Expiration: { Date: new Date('2030-01-01T00:00:00Z') } },
    { ID: 'large', Filter: { ObjectSizeGreaterThan: 1_000_000 }, Expiration: { Days: 1 } },
    { ID: 'one', Filter: { Prefix: 'vol-0123/' }, Expiration: { Days: 7 } },
    { ID: 'red', Filter: { Tag: tag }, Expiration: { Days: 7 } },
    { ID: 'both', Filter: { And: { Prefix: 'vol-', Tags: [tag] } }, Expiration: { Days: 8 } },
    { ID: 'deep', Transitions: [{ Days: 1, StorageClass: 'DEEP_ARCHIVE' }] },
    { ID: 'cool', Transitions: [{ Days: 1, StorageClass: 'GLACIER_IR' }] },
    { ID: 'markers', Expiration: { ExpiredObjectDeleteMarker: true } },
    { ID: 'claims', Filter: { Prefix: '.snap-to-s3/' }, Expiration: { Days: 30 } },
    { ID: 'newest', NoncurrentVersionExpiration: { NoncurrentDays: 30, NewerNoncurrentVersions: 2 } },
  );
  const { done, findings } = await examine(lab);
  assert.equal(done.code, 1, done.stdout);
  const lines = linesOf(findings, 'lifecycle').join('\n');
  for (const expected of [
    /^problem: rule "date" for all keys DELETES archives on 2030-01-01$/m,
    /^problem: rule "large" for all keys and objects of more than 1000000 bytes DELETES archives after 1 day$/m,
    /^problem: rule "one" for vol-0123\/ DELETES archives after 7 days$/m,
    /^warning: rule "red" for all keys and objects with the tag team=red DELETES the archives of snapshots with this tag/m,
    /^warning: rule "both" for vol- and objects with the tag team=red DELETES/m,
    /^warning: rule "deep" for all keys moves objects to DEEP_ARCHIVE, also manifests/m,
  ])
    assert.match(lines, expected);
  assert.doesNotMatch(lines, /"cool"|"markers"|"claims"|"newest"/);
  assert.match(linesOf(findings, 'versioning').join(), /^warning: on, without a lifecycle rule for old versions/);
  assert.deepEqual(linesOf(findings, 'object lock'), ['ok: enabled, without a default retention']);
});

test('rules that only abort uploads and delete old versions are good', async (t) => {
  const { lab } = await goodNight(t);
  assert.match(linesOf((await examine(lab)).findings, 'object lock').join(), /^ok: not enabled: migrate would refuse/);
  await enableObjectLock(lab, 30);
  await setRules(lab, { ID: 'old', NoncurrentVersionExpiration: { NoncurrentDays: 30 } });
  const { done, findings } = await examine(lab);
  assert.equal(done.code, 0, done.stdout);
  assert.deepEqual(linesOf(findings, 'lifecycle'), ['ok: 2 rules for the archives; unfinished uploads are aborted']);
  assert.deepEqual(linesOf(findings, 'versioning'), ['ok: on; a lifecycle rule deletes old versions']);
  assert.match(
    linesOf(findings, 'object lock').join(),
    /^warning: enabled, with the default retention GOVERNANCE for 30 days/,
  );
});

test('what may not be read of the configuration is not judged', async (t) => {
  const { lab } = await goodNight(t);
  await enableObjectLock(lab);
  await setRules(lab, { ID: 'all', Expiration: { Days: 1 } });
  const allowed = { Effect: 'Allow' as const, Action: '*', Resource: '*' };
  const hidden = ['s3:GetLifecycleConfiguration', 's3:GetBucketObjectLockConfiguration'];
  const Statement = [allowed, { Effect: 'Deny' as const, Action: hidden, Resource: '*' }];
  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('reader', { Statement });
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const { findings } = await examine(lab, [], env);
  for (const check of ['lifecycle', 'object lock'])
    assert.deepEqual(linesOf(findings, check), ['warning: not checked: the permission is missing']);
  assert.deepEqual(linesOf(findings, 'versioning'), [
    'ok: on; whether a lifecycle rule deletes old versions was not checked',
  ]);
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

/** Stores a claim. @param holder `null` for an interrupted run. */
async function putClaim(lab: TestLab, snapshot: string, holder: Holder | null, progress: ClaimProgress | null = null) {
  const facts = { snapshot, volume: 'vol-1', command: 'migrate', takenAt: '2026-01-01T00:00:00Z', renewal: 1 };
  const claim = newClaim({ ...facts, holder, lifeSeconds: 3600, tagBefore: 'migrate', progress });
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: claimKey('', snapshot), Body: encodeClaim(claim) }));
}

const ELSEWHERE: Holder = { run: 'x', host: 'elsewhere', pid: 7, boot: 'b', namespace: 'n', started: '1' };

test('leftovers of interrupted runs are reported; snapshots with a live claim are not', async (t) => {
  const { lab } = await goodNight(t);
  const tagged = (value: string) => addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': value } });
  const [stuck, left, busy] = [await tagged('validating'), await tagged('migrating'), await tagged('migrating')];
  const key = (number: number) => `${left.volumeId}/2026-01-01T00:00:00+00:00 ${left.snapshotId}.${number}.tar.lz4`;
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key(1), Body: 'one' }));
  const upload = { Bucket: BUCKET, Key: key(2) };
  const { UploadId = '' } = await lab.s3.send(new CreateMultipartUploadCommand(upload));
  const uploads = [1, 2].map((number) => ({ key: key(number), uploadId: UploadId, checkpoints: [] }));
  await putClaim(lab, left.snapshotId, null, { fingerprint: '', objects: [], uploads });
  await putClaim(lab, busy.snapshotId, ELSEWHERE);
  const before = (await writesIn(lab)).length;
  const { done, findings } = await examine(lab);
  assert.equal(done.code, 0, 'leftovers do not prevent a migration');
  const said = (name: string) => {
    const { verdict, detail, hint } = findings.find(({ check }) => check === name) ?? {};
    assert.equal(verdict, 'warning', `${name}: ${detail}`);
    assert.match(hint ?? '', /run the interrupted command again.* snap-to-s3 clean/);
    assert.ok(!detail?.includes(busy.snapshotId), detail);
    return detail ?? '';
  };
  assert.match(said('state tags'), new RegExp(`^2 snapshots stuck .*${left.snapshotId}`));
  assert.match(
    said('state tags'),
    new RegExp(`${stuck.snapshotId} \\(snap-to-s3=validating; the tag will be set to migrated`),
  );
  assert.match(said('claims'), new RegExp(`^1 claim of interrupted runs: ${left.snapshotId} `));
  assert.ok(said('uploads').startsWith(`1 unfinished upload of interrupted runs: ${key(2)} `));
  assert.ok(said('objects').startsWith(`1 object that no archive contains: ${key(1)} `));
  // The number is the same as with a good setup.
  assert.equal((await writesIn(lab)).length - before, 4, 'doctor changes nothing');
  await lab.s3.send(new AbortMultipartUploadCommand({ ...upload, UploadId }));
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: claimKey('', busy.snapshotId) }));
});

test('the number of examined snapshots is limited; what was not examined is reported', async (t) => {
  const { lab } = await goodNight(t);
  for (let number = 0; number < 130; number++)
    await putClaim(lab, `snap-${number.toString(16).padStart(17, '0')}`, null);
  await lab.control.clearCalls();
  const { done, bad } = await examine(lab);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const reads = (await lab.control.calls()).filter(({ operation }) => operation === 'GetObject');
  assert.equal(reads.length, 100);
  const details = bad.map(({ check, detail }) => `${check}: ${detail}`);
  assert.ok(
    details.some((text) => /^claims: 100 claims of interrupted runs: .*, and 95 more$/.test(text)),
    `${details}`,
  );
  assert.ok(
    details.some((text) => text.startsWith('leftovers: only 100 of 130 snapshots ')),
    `${details}`,
  );

  const { accessKeyId, secretAccessKey } = await lab.control.addIdentity('looker', {
    Statement: [{ Effect: 'Allow', Action: ['ec2:*', 'ebs:*', 's3:List*', 's3:PutObject', 's3:GetB*'], Resource: '*' }],
  });
  const blind = await examine(lab, [], { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
  const gap = blind.bad.find(({ check }) => check === 'leftovers');
  assert.equal(gap?.verdict, 'warning');
  assert.match(gap?.detail ?? '', /^not checked: .*s3:GetObject/);
  assert.ok(!blind.findings.some(({ check }) => check === 'claims'), 'nothing is called clean that was not looked at');
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
  const env = {
    PATH: pathWithOnly(lab, ['tar', 'sfdisk', 'blkid', 'mount', 'umount', 'losetup', 'gpg', 'gpg-agent']),
    GNUPGHOME: home,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1',
    AWS_REGION: 'us-east-1',
  };
  const recipients = ['--gpg-recipient', 'soon@example.com', '--gpg-recipient', 'nobody@example.com'];
  const { done, bad } = await examine(lab, ['--compression', 'zstd', ...recipients], env);
  assert.equal(done.code, 1, done.stdout);
  const said = bad.map(({ verdict, check, detail }) => `${verdict} ${check}: ${detail}`).join('\n');
  assert.match(said, /problem tool mkfifo: not installed: mkfifo/);
  assert.match(said, /warning tool getfattr: not installed: getfattr; migrate needs it only with --validate$/m);
  assert.match(said, /warning tool zstd: not installed: zstd; migrate needs it only with --validate$/m);
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
