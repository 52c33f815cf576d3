/** Invalid usage is refused with exit code 2 before any call is made. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { csv, line, snapshotId as numbered } from '../support/costs/bills.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, PROGRAM, runCli, runProgram, type TestLab } from '../support/lab.ts';

const GOOD = ['migrate', '--all', '--bucket', BUCKET];

const BAD: [string, string[], RegExp][] = [
  ['an unknown flag', [...GOOD, '--compresion', 'lz4'], /unknown option '--compresion'.*\n.*--compression/],
  ['an unknown command', ['migrat'], /unknown command 'migrat'.*\n.*migrate/],
  ['help of an unknown command', ['migrat', '--help'], /unknown command 'migrat'/],
  ['a misspelled bucket', ['migrate', '--all', '--bukcet', BUCKET], /unknown option '--bukcet'.*\n.*--bucket/],
  ['no selection', ['migrate', '--bucket', BUCKET], /select the snapshots/],
  ['two selections', [...GOOD, '--one'], /cannot be used with/],
  ['ids and --all', [...GOOD, '--snapshots', 'snap-00000000'], /cannot be used with/],
  ['no bucket', ['migrate', '--all'], /--bucket <name>' not specified/],
  ['an invalid bucket name', ['migrate', '--all', '--bucket', 'UPPER'], /must be a bucket name/],
  ['a malformed id', ['migrate', '--snapshots', 'vol-1', '--bucket', BUCKET], /a snapshot id such as/],
  ['an unknown codec', [...GOOD, '--compression', 'gzip'], /Allowed choices are lz4, zstd/],
  ['a level out of range', [...GOOD, '--compression-level', '20'], /from 1 to 19/],
  ['a level that lz4 lacks', [...GOOD, '--compression-level', '13'], /13 is out of range: lz4 has levels 1 to 12/],
  ['too many partitions', [...GOOD, '--partition-concurrency', '17'], /from 1 to 16/],
  [
    'both names of a flag',
    [...GOOD, '--partition-concurrency', '2', '--partitions-at-once', '2'],
    /cannot be used with/,
  ],
  ['no upload streams', [...GOOD, '--upload-streams', '0'], /from 1 to 64/],
  ['a fraction of an upload stream', [...GOOD, '--upload-streams', '1.5'], /from 1 to 64/],
  ['an unknown storage class', [...GOOD, '--storage-class', 'GLACIAL'], /Allowed choices/],
  ['an unknown volume type', [...GOOD, '--volume-type', 'gp9'], /Allowed choices/],
  [
    'a volume type that needs a number of IOPS',
    [...GOOD, '--volume-type', 'io2'],
    /choices are gp3, gp2, st1, sc1, standard/,
  ],
  [
    'a new volume of such a type',
    ['restore', 'snap-0123456789abcdef0', '--bucket', BUCKET, '--to-volume', '--volume-type', 'io1'],
    /choices are gp3, gp2, st1, sc1, standard/,
  ],
  ['a KMS key without aws:kms', [...GOOD, '--sse-kms-key-id', 'k'], /needs --sse aws:kms/],
  ['a relative mount point', [...GOOD, '--mount-point', 'mnt'], /an absolute path/],
  ['an invalid owner', [...GOOD, '--expected-bucket-owner', '123'], /12-digit/],
  ['a missing value', ['migrate', '--all', '--bucket'], /argument missing/],
  ['an extra argument', [...GOOD, 'snap-00000000'], /too many arguments/],
  ['both commands of version 0', ['--migrate', '--analyze', 'x.csv'], /cannot be used together/],
];

/** All cases share one lab, which records whether any of them makes a call. */
test('invalid usage is refused', async (t) => {
  const lab: TestLab = await labForTest(t);
  for (const [what, argv, message] of BAD) {
    await t.test(what, async () => {
      const done = await runCli(lab.env, argv);
      assert.equal(done.code, 2, done.stderr);
      assert.match(done.stderr, message);
      assert.doesNotMatch(done.stderr, /\n\s+at /, 'a stack trace for a mistake of the user');
      assert.equal(done.stdout, '');
    });
  }
  assert.deepEqual(await lab.control.calls(), []);
});

test('a missing, foreign or forbidden bucket is refused before anything is created', async (t) => {
  const lab = await labForTest(t);
  await lab.control.addBucket('theirs', { ownerId: '999999999999' });
  for (const [argv, message] of [
    [['--bucket', 'nowhere'], /there is no bucket nowhere/],
    [['--bucket', 'theirs', '--expected-bucket-owner', '123456789012'], /use bucket theirs/],
  ] as const) {
    const done = await runCli(lab.env, ['migrate', '--all', ...argv]);
    assert.equal(done.code, 1, done.stderr);
    assert.match(done.stderr, message);
  }
  const names = (await lab.control.calls()).map(({ operation }) => operation);
  assert.ok(
    names.every((name) => name === 'HeadBucket' || name === 'ListObjectsV2'),
    names.join(' '),
  );
});

test('a missing directory for temporary files is named in the error', async (t) => {
  const lab = await labForTest(t);
  const done = await runCli({ ...lab.env, TMPDIR: '/nowhere' }, ['migrate', '--all', '--bucket', BUCKET]);
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, /temporary files cannot be used: ENOENT.*\[OUTPUT\]\n.*set TMPDIR/);
});

test('the help of the program and of each command goes to standard output', async (t) => {
  const lab = await labForTest(t);
  for (const argv of [
    ['--help'],
    ['migrate', '--help'],
    ['lab', '--help'],
    ['help', 'migrate'],
    ['lab', 'up', '--help'],
  ]) {
    const done = await runCli(lab.env, argv);
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /Usage: snap-to-s3/);
    assert.ok(
      done.stdout.split('\n').every((line) => line.length <= 120),
      'lines too long for a terminal',
    );
  }
  const { stdout } = await runCli(lab.env, ['migrate', '--help']);
  for (const heading of ['Snapshots', 'Destination', 'Content', 'Source', 'Exit status', 'Examples'])
    assert.match(stdout, new RegExp(`^${heading}`, 'm'));
});

/** Commands with options for special cases. */
const WITH_SPECIAL_OPTIONS = [
  'migrate',
  'validate',
  'restore',
  'list',
  'drill',
  'clean',
  'expire',
  'doctor',
  'analyze',
];

test('--help shows the common options; --help-all shows every one', async (t) => {
  const lab = await labForTest(t);
  for (const command of WITH_SPECIAL_OPTIONS) {
    const common = (await runCli(lab.env, [command, '--help'])).stdout;
    const { stdout: all, code } = await runCli(lab.env, [command, '--help-all']);
    assert.equal(code, 0);
    const [shown, every] = [common, all].map((text) => new Set(text.match(/^ {2}(?:-h, )?--[a-z-]+/gm)));
    assert.ok(shown && every && shown.size < every.size, command);
    assert.deepEqual(
      [...shown].filter((option) => !every.has(option)),
      [],
    );
    assert.match(common, new RegExp(`${every.size - shown.size} more options .*snap-to-s3 ${command} --help-all`));
    for (const option of ['--call-timeout', '--endpoint-url'])
      assert.ok(every.has(`  ${option}`) && !shown.has(`  ${option}`), `${command}: ${option}`);
    assert.match(common, /^Output:\n(?: {2}.*\n)* {2}--help-all .*\n {2}-h, --help /m, command);
  }
});

test('earlier names of flags are accepted, but the help has only the new ones', async (t) => {
  const lab = await labForTest(t);
  const { stdout } = await runCli(lab.env, ['migrate', '--help-all']);
  assert.match(stdout, /--partition-concurrency <number>/);
  assert.doesNotMatch(stdout, /--partitions-at-once/);
  const done = await runCli(lab.env, [
    'migrate',
    '--all',
    '--bucket',
    BUCKET,
    '--partitions-at-once',
    '2',
    '--dry-run',
  ]);
  assert.equal(done.code, 10, done.stderr);
});

test('--help-all is accepted everywhere', async (t) => {
  const lab = await labForTest(t);
  const helpOf = async (...argv: string[]): Promise<string> => {
    const done = await runCli(lab.env, argv);
    assert.equal(done.code, 0, done.stderr);
    return done.stdout;
  };
  for (const argv of [['compare'], ['lab', 'up'], ['lab', 'volume']])
    assert.equal(await helpOf(...argv, '--help-all'), await helpOf(...argv, '--help'));
  assert.equal(await helpOf('--migrate', '--help-all'), await helpOf('migrate', '--help-all'));
  const all = await helpOf('--help-all');
  assert.ok(all.startsWith(await helpOf('--help')));
  for (const command of [...WITH_SPECIAL_OPTIONS, 'compare', 'lab'])
    assert.ok(all.includes(await helpOf(command, '--help-all')), command);
  assert.ok((await helpOf('lab', '--help-all')).includes(await helpOf('lab', 'bucket', '--help')));
  assert.equal((await runCli(lab.env, ['migrat', '--help-all'])).code, 2);
});

test('with --json, errors are JSON', async (t) => {
  const lab = await labForTest(t);
  const done = await runCli(lab.env, ['migrate', '--all', '--bucket', 'nowhere', '--json']);
  const record = JSON.parse(done.stderr.trim()) as Record<string, unknown>;
  assert.equal(record['code'], 'BUCKET');
  assert.equal(record['exitCode'], 1);
  assert.equal(typeof record['hint'], 'string');
  const misspelled = await runCli(lab.env, ['migrate', '--all', '--bukcet', 'nowhere', '--json']);
  assert.equal(misspelled.code, 2);
  assert.deepEqual(JSON.parse(misspelled.stderr), {
    type: 'error',
    code: 'USAGE',
    exitCode: 2,
    message: "unknown option '--bukcet'",
    hint: 'Did you mean --bucket?',
  });
});

const LEGACY = 'vol-0123456789abcdef0/2017-06-30T22:00:00+00:00 snap-0123456789abcdef0';

test('results go to standard output, and a full disk is a failure', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${LEGACY}.tar.lz4`, Body: 'anything' }));
  const bill = join(lab.directory, 'bill.csv');
  writeFileSync(bill, csv('legacy', [{ month: '2026-09', others: 2, snapshots: [line(numbered(1), 2048)] }], 'daily'));
  // This is the PATH of cron jobs, plus Node's own directory.
  const env = { ...lab.env, PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
  const mnt = ['--mount-point', join(lab.directory, 'mnt')];
  const results: [string[], RegExp][] = [
    [['doctor', '--bucket', BUCKET, ...mnt], /^ok {7}tools/m],
    [['clean', '--bucket', BUCKET, ...mnt], /^clean: no leftovers found/m],
    [['migrate', '--all', '--dry-run', '--bucket', BUCKET, ...mnt], /^snap-[0-9a-f]+ \(1 GiB of vol-/m],
    [['compare'], /EBS USD\/month/],
    [['list', '--bucket', BUCKET], /^snap-0123456789abcdef0 /m],
    [['list', 'snap-0123456789abcdef0', '--bucket', BUCKET], /snap-0123456789abcdef0/],
    [['analyze', bill, '--offline'], /EBS/],
  ];
  for (const [argv, pattern] of results) {
    const done = await runCli(env, argv);
    assert.match(done.stdout, pattern, `${argv.join(' ')}: ${done.stderr}`);
    assert.notEqual(done.code, 1, `${argv.join(' ')} fails anyway: ${done.stderr}`);
    const script = 'exec "$@" > /dev/full';
    const full = await runProgram(['sh', '-c', script, 'sh', process.execPath, PROGRAM, ...argv], { env });
    assert.equal(full.code, 1, `${argv.join(' ')}: ${full.stderr}`);
  }
});

test('a process that exits early because it has nothing to wait for fails', async () => {
  const main = new URL('../../src/cli/main.ts', import.meta.url);
  const script = `
    import { demandVerdict } from '${main.href}';
    const work = async () => {
      using verdict = demandVerdict(process);
      await new Promise(() => {});
    };
    void work();`;
  const done = await runProgram([process.execPath, '--input-type=module', '--eval', script]);
  assert.equal(done.code, 1);
  assert.match(done.stderr, /exited before the command was finished/);
});
