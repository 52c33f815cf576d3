/** Tars read through the EBS direct APIs: the snapshot becomes a local disk, without a volume or an EC2 instance. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FaultAction } from '../../lab/core/contract.ts';
import { run } from '../../lab/core/run.ts';
import { buildDisk } from '../../lab/disks/build.ts';
import { copyWhileMounted } from '../../lab/disks/copies.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { extractTar, keyEnding, keysIn, readManifest, tarNames } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage, fillPlainly } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { labForTest, recordsOf, runMigrate, runValidate, type TestLab } from '../support/lab.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';
import { assertSameBytes } from '../support/same-bytes.ts';
import { changeDisk, imageOf } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';

const DISK = {
  table: 'gpt' as const,
  partitions: [
    { content: 'bios-boot' as const, sizeMiB: 1 },
    { content: 'ext4' as const, sizeMiB: 640, populate: (directory: string) => makeNastyTree(directory) },
    { content: 'xfs' as const, sizeMiB: 320, populate: fillPlainly },
    { content: 'swap' as const, sizeMiB: 16 },
  ],
};

const SMALL = {
  table: 'none' as const,
  partitions: [{ content: 'ext4' as const, sizeMiB: 64, populate: fillPlainly }],
};

/** About 40 blocks of incompressible data. */
const FULL = {
  table: 'gpt' as const,
  partitions: [
    {
      content: 'ext4' as const,
      sizeMiB: 64,
      populate: async (directory: string) => writeFileSync(join(directory, 'noise'), randomBytes(20_000_000)),
    },
  ],
};

const DIRECT = ['--all', '--source', 'direct', '--json'];

/** The environment of a machine that is not an EC2 instance. */
const ELSEWHERE = { AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1' };

/** Checks that the snapshot still equals the image from which it was created. */
const expectUnchanged = (lab: TestLab, snapshotId: string, image: string) =>
  assertSameBytes(imageOf(lab, snapshotId), image, { bytes: statSync(image).size });

test('a disk with several partitions is validated and restored; each block is read once, without a volume', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId, image } = await addSnapshotOf(lab, DISK);
  const done = await runMigrate(lab, [...DIRECT, '--validate'], { env: ELSEWHERE });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  for (const partition of [2, 3]) {
    const restored = await extractTar(lab, await keyEnding(lab, `.${partition}.tar.lz4`));
    const { list } = await withMounted(image, partition, (original) => compareTrees(original, restored));
    assert.deepEqual(list, []);
  }
  assert.equal((await readManifest(lab)).source, 'direct');
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  await expectUnchanged(lab, snapshotId, image);
  const calls = await lab.control.calls();
  assert.ok(!calls.some(({ operation }) => /Volume/.test(operation)));
  const blocks = calls
    .filter(({ operation }) => operation === 'GetSnapshotBlock')
    .map(({ details }) => details['block']);
  assert.ok(blocks.length > 10, `${blocks.length} blocks`);
  assert.equal(new Set(blocks).size, blocks.length);
});

for (const content of ['ext4', 'xfs'] as const) {
  test(`${content} of a running machine: the journal is replayed, and the snapshot does not change`, async (t) => {
    const lab = await labForTest(t);
    const [image, dirty] = [join(lab.directory, 'clean.img'), join(lab.directory, 'dirty.img')];
    const sizeMiB = content === 'xfs' ? 320 : 64;
    await buildDisk({ path: image, table: 'none', partitions: [{ content, sizeMiB, populate: fillPlainly }] });
    await copyWhileMounted(image, dirty, null, writeSynced);
    const { snapshotId } = await addSnapshotOfImage(lab, dirty);
    const done = await runMigrate(lab, [...DIRECT, '--validate'], { env: ELSEWHERE });
    assert.equal(done.code, 0, done.stdout + done.stderr);
    const names = await tarNames(lab, await keyEnding(lab, '.tar.lz4'));
    assert.ok(names.includes('./synced last'), names.join());
    await expectUnchanged(lab, snapshotId, dirty);
  });
}

async function writeSynced(directory: string): Promise<void> {
  const file = openSync(join(directory, 'synced last'), 'w');
  writeSync(file, 'content');
  fsyncSync(file);
  closeSync(file);
}

/** Checks that nothing is stored and that the tag has not changed. */
async function expectNothing(lab: TestLab, snapshotId: string) {
  assert.deepEqual(await keysIn(lab), []);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
}

const FAULTS: [string, FaultAction, RegExp][] = [
  ['access is denied', { kind: 'error', code: 'AccessDeniedException', status: 403 }, /ACCESS_DENIED/],
  ['a checksum never matches', { kind: 'behaviour', name: 'flip-bit' }, /did not match its checksum/],
];

for (const [name, action, message] of FAULTS) {
  test(`${name} while blocks are read: there is one message, and nothing is stored`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab, FULL);
    await lab.control.script({ service: 'ebs', operation: 'GetSnapshotBlock', skip: 15, times: 1000, action });
    const done = await runMigrate(lab, [...DIRECT, '--block-streams', '2'], { env: ELSEWHERE });
    await lab.control.clearFaults();
    assert.equal(done.code, 1, done.stdout + done.stderr);
    assert.match(done.stdout, message);
    await expectNothing(lab, snapshotId);
  });
}

test('a run survives throttling and lost connections', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab, FULL);
  const fault = { service: 'ebs', operation: 'GetSnapshotBlock' } as const;
  const throttled = { kind: 'error', code: 'RequestThrottledException', status: 400 } as const;
  await lab.control.script({ ...fault, skip: 5, times: 3, action: throttled });
  await lab.control.script({ ...fault, skip: 9, times: 3, action: { kind: 'cut', afterBytes: 100_000 } });
  const done = await runMigrate(lab, [...DIRECT, '--validate'], { env: ELSEWHERE });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.ok(recordsOf(done).some(({ code, service }) => code === 'call.retried' && service === 'EBS'));
});

test('a serving process that does not end is killed', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab, SMALL);
  const marker = `stopped-${process.pid}`;
  const done = await runMarked(lab, marker, 'manifest.stored', () => signalOne(marker, /serving-process/, 'SIGSTOP'));
  assert.equal(done.code, 0, done.stdout + done.stderr);
});

/** Signals the processes whose environment contains the marker and whose command line matches the program. */
function signalOne(marker: string, program: RegExp, signal: NodeJS.Signals): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const isMarked = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(marker);
      if (isMarked && program.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))) process.kill(Number(pid), signal);
    } catch {
      // The process has ended.
    }
  }
}

const runMarked = (lab: TestLab, marker: string, event: string, kill: () => void) =>
  runMigrate(lab, DIRECT, {
    env: { ...ELSEWHERE, SNAP_TO_S3_TEST_RUN: marker },
    onLine: (line) => {
      if (line.includes(`"${event}"`)) kill();
    },
  });

test('if the serving process is killed, there is one message, and nothing is stored or left behind', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, FULL);
  await lab.control.setDelays({ getBlock: 100 });
  const marker = `${snapshotId}-server`;
  const done = await runMarked(lab, marker, 'object.started', () => signalOne(marker, /serving-process/, 'SIGKILL'));
  assert.equal(done.code, 1, done.stdout + done.stderr);
  assert.match(done.stdout, /the process that serves snap-\w+ was killed by SIGKILL/);
  await expectNothing(lab, snapshotId);
});

for (const [what, pattern] of [
  ['with all its children', null],
  ['alone', /src\/bin\./],
] as const) {
  test(`a run that was killed ${what} succeeds when it is run again`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab, FULL);
    await lab.control.setDelays({ getBlock: 50 });
    const marker = `${snapshotId}-run`;
    const kill = () => (pattern ? signalOne(marker, pattern, 'SIGKILL') : killFamily(marker));
    assertKilled(await runMarked(lab, marker, 'object.started', kill));
    const done = await runMigrate(lab, [...DIRECT, '--validate'], { env: ELSEWHERE });
    assert.equal(done.code, 0, done.stdout + done.stderr);
  });
}

test('too little space for the blocks is refused before anything is read', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, FULL);
  const TMPDIR = join(lab.directory, 'small');
  mkdirSync(TMPDIR);
  await run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', TMPDIR]);
  try {
    const done = await runMigrate(lab, DIRECT, { env: { ...ELSEWHERE, TMPDIR } });
    assert.equal(done.code, 1, done.stdout + done.stderr);
    assert.match(done.stdout, /needs [\d.]+ MiB in .*; [\d.]+ \w+ is free/);
    await expectNothing(lab, snapshotId);
  } finally {
    await run(['umount', TMPDIR]);
  }
});

test('Ctrl+C releases everything', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, FULL);
  await lab.control.setDelays({ getBlock: 100 });
  const done = await runMigrate(lab, DIRECT, {
    env: ELSEWHERE,
    onLine: (line, kill) => {
      if (line.includes('"object.started"')) kill('SIGINT');
    },
  });
  assert.equal(done.code, 130, done.stdout + done.stderr);
  await expectNothing(lab, snapshotId);
});

test('--source auto reads files from a volume on an instance, and directly elsewhere', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, SMALL);
  const auto = ['--snapshots', snapshotId, '--source', 'auto', '--replace', '--json'];
  for (const [env, source] of [
    [{}, 'volume'],
    [ELSEWHERE, 'direct'],
  ] as const) {
    const done = await runMigrate(lab, auto, { env });
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.equal(recordsOf(done).find(({ code }) => code === 'source.chosen')?.['source'], source);
  }
});

test('validate --source direct validates an archive read from a volume, and finds a changed file', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, FULL);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const direct = ['--source', 'direct', '--json'];
  const proved = await runValidate(lab, ['--all', ...direct], { env: ELSEWHERE });
  assert.equal(proved.code, 0, proved.stdout + proved.stderr);
  await changeDisk(lab, snapshotId, 1, async (directory) => writeFileSync(join(directory, 'noise'), 'quiet'));
  const refuted = await runValidate(lab, ['--snapshots', snapshotId, ...direct], { env: ELSEWHERE });
  assert.equal(refuted.code, 12, refuted.stdout + refuted.stderr);
});
