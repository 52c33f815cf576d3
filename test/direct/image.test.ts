/** Images read through the EBS direct APIs need no root, volume, mount or device, and equal the disk despite faults. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, createReadStream, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { FaultAction } from '../../lab/core/contract.ts';
import { assertPlainEquals, keyEnding, keysIn, readIndex, readManifest } from '../support/archives.ts';
import { addSnapshotOf, addSnapshotOfImage } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import {
  BUCKET,
  labForTest,
  PROGRAM,
  recordsOf,
  runCli,
  runMigrate,
  runProgram,
  runValidate,
  type TestLab,
} from '../support/lab.ts';
import { assertKilled, killFamily } from '../support/processes/kill-family.ts';
import { oneIn, seededRandom } from '../support/sampled.ts';
import { imageOf } from '../support/tamper.ts';

const GPT = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 48 },
    { content: 'random' as const, sizeMiB: 2 },
  ],
};

const DIRECT = ['--all', '--dd', '--source', 'direct', '--json'];

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function expectImage(lab: TestLab, snapshotId: string, ending: string, env: Record<string, string> = {}) {
  await assertPlainEquals(lab, await keyEnding(lab, ending), imageOf(lab, snapshotId), env);
}

test('an ordinary user archives a GPT disk, and lz4 -d restores it', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, GPT);
  for (const directory of [join(lab.directory, '..'), lab.directory]) chmodSync(directory, 0o755);
  chmodSync(join(lab.directory, 'tmp'), 0o777);
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, PROGRAM];
  const env = { ...lab.env, AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1' };
  const done = await runProgram([...nobody, 'migrate', '--bucket', BUCKET, ...DIRECT, '--validate'], { env });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const calls = (await lab.control.calls()).map(({ operation }) => operation);
  for (const absent of ['CreateVolume', 'AttachVolume']) assert.ok(!calls.includes(absent), absent);
  await expectImage(lab, snapshotId, '.img.lz4');
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  const manifest = await readManifest(lab);
  assert.equal(manifest.source, 'direct');
  assert.equal(manifest.disk.table, 'gpt');
  assert.equal(manifest.objects[0]?.plainSha256, await hashOf(imageOf(lab, snapshotId)));
  const proof = await runCli(env, ['validate', '--archive-only', '--all', '--bucket', BUCKET]);
  assert.equal(proof.code, 0, proof.stderr);
});

const random = seededRandom();

/** Creates a disk with data blocks, blocks that were written with zeros, and blocks that were never written. */
function randomDisk(lab: TestLab, blocks: number): { image: string; writtenZeros: number[] } {
  const image = join(lab.directory, `random-${blocks}.img`);
  const file = openSync(image, 'w');
  const writtenZeros: number[] = [];
  for (let index = 0; index < blocks; index++) {
    const kind = random();
    if (kind < 0.3) writeSync(file, randomBytes(524_288), 0, 524_288, index * 524_288);
    else if (kind < 0.4) writeSync(file, 'x', index * 524_288 + Math.floor(random() * 524_288));
    else if (kind < 0.6) writtenZeros.push(index);
  }
  ftruncateSync(file, blocks * 524_288);
  return { image, writtenZeros };
}

test('disks with data, zeros and unwritten blocks are restored byte for byte, also if encrypted', async (t) => {
  const lab = await labForTest(t, { pageSize: 7 });
  for (const encrypted of [false, true, false]) {
    const { image, writtenZeros } = randomDisk(lab, 40);
    const { snapshotId } = await addSnapshotOfImage(lab, image, { writtenZeros, encrypted });
    const done = await runMigrate(lab, [...DIRECT, '--compression', 'zstd']);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    await expectImage(lab, snapshotId, `${snapshotId}.img.zst`);
    await expectIndex(lab, snapshotId, image, writtenZeros);
  }
});

/** Checks that the index lists every block once, in order, and as the right kind. */
async function expectIndex(lab: TestLab, id: string, image: string, writtenZeros: number[]): Promise<void> {
  const disk = readFileSync(image);
  const told = (await readIndex(lab, `${id}.index.zst`)).flatMap(({ blocks: [from, to] = [0, 0], is, sha256 }) =>
    Array.from({ length: to - from }, (_, offset) => ({ index: from + offset, is, sha256 })),
  );
  assert.deepEqual(
    told.map(({ index }) => index),
    Array.from({ length: 2048 }, (_, index) => index),
  );
  for (const { index, is, sha256 } of told) {
    const block = disk.subarray(index * 524_288, (index + 1) * 524_288);
    const isData = block.some((byte) => byte !== 0);
    assert.equal(is, isData ? 'data' : writtenZeros.includes(index) ? 'zero' : 'absent', `block ${index}`);
    if (isData) assert.equal(sha256, createHash('sha256').update(block).digest('base64'));
  }
}

test('an image encrypted with gpg is validated and restored', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, GPT);
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, 'ops@example.com');
  const done = await runMigrate(lab, [...DIRECT, '--validate', '--gpg-recipient', 'ops@example.com'], { env });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await expectImage(lab, snapshotId, '.img.lz4.gpg', env);
  const copy = join(lab.directory, 'copy.img');
  const restored = await runCli({ ...lab.env, ...env }, ['restore', snapshotId, '--bucket', BUCKET, '--to-file', copy]);
  assert.equal(restored.code, 0, restored.stderr);
  assert.equal(await hashOf(copy), await hashOf(imageOf(lab, snapshotId)));
});

test('without the snapshot, each block is compared with the index', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, GPT);
  assert.equal((await runMigrate(lab, DIRECT)).code, 0);
  const alone = ['--archive-only', '--snapshots', snapshotId, '--json'];
  const whole = await runValidate(lab, alone);
  assert.equal(whole.code, 0, whole.stdout + whole.stderr);
  const Key = await keyEnding(lab, '.index.zst');
  const lines = (await readIndex(lab, '.index.zst')).map((line) => ({ ...line }));
  const data = lines.find(({ is }) => is === 'data');
  assert.ok(data);
  data.sha256 = createHash('sha256').update('something else').digest('base64');
  const Body = zstdCompressSync(Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join('')));
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
  const other = await runValidate(lab, alone);
  assert.equal(other.code, 12, other.stdout + other.stderr);
  assert.match(other.stdout, new RegExp(`in the block at byte ${(data.blocks?.[0] ?? 0) * 524_288}"`));
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'no index' }));
  const damaged = await runValidate(lab, alone);
  assert.equal(damaged.code, 12, damaged.stdout + damaged.stderr);
  assert.match(damaged.stdout, /"kind":"index".*index\.zst: it is not an index of an image/);
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }));
  const gone = await runValidate(lab, alone);
  assert.equal(gone.code, 12, gone.stdout + gone.stderr);
  assert.match(gone.stdout, /"differenceCount":1,.*"kind":"index"/);
});

const SURVIVED: [string, FaultAction, number][] = [
  ['throttled', { kind: 'error', code: 'RequestThrottledException', status: 400 }, 3],
  ['internal errors', { kind: 'error', code: 'InternalServerException', status: 500 }, 3],
  ['connections lost', { kind: 'reset' }, 3],
  ['responses cut short', { kind: 'cut', afterBytes: 100_000 }, 3],
  ['a wrong checksum', { kind: 'behaviour', name: 'flip-bit' }, 1],
];

for (const [name, action, times] of oneIn(2, SURVIVED)) {
  test(`reading blocks succeeds despite a fault: ${name}`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab, GPT);
    await lab.control.script({ service: 'ebs', operation: 'GetSnapshotBlock', skip: 5, times, action });
    const done = await runMigrate(lab, DIRECT);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    await expectImage(lab, snapshotId, '.img.lz4');
  });
}

test('blocks and pages whose tokens have expired are listed again', async (t) => {
  const lab = await labForTest(t, { pageSize: 5 });
  const { snapshotId } = await addSnapshotOf(lab, GPT);
  await lab.control.setDelays({ blockTokenLife: 700, getBlock: 250 });
  const done = await runMigrate(lab, [...DIRECT, '--block-streams', '4']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const lists = (await lab.control.calls()).filter(({ operation }) => operation === 'ListSnapshotBlocks');
  assert.ok(lists.length > 4, `${lists.length} lists`);
  await expectImage(lab, snapshotId, '.img.lz4');
});

const REFUSED: [string, FaultAction, RegExp][] = [
  ['access denied in the middle', { kind: 'error', code: 'AccessDeniedException', status: 403 }, /ACCESS_DENIED/],
  [
    'a checksum that is always wrong',
    { kind: 'behaviour', name: 'flip-bit' },
    /did not match its checksum in 3 attempts/,
  ],
];

for (const [name, action, message] of REFUSED) {
  test(`reading blocks: ${name} leaves no object`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab, GPT);
    const script = { service: 'ebs', operation: 'GetSnapshotBlock', action } as const;
    await lab.control.script({ ...script, skip: 8, times: 1000 });
    const done = await runMigrate(lab, DIRECT);
    await lab.control.clearFaults();
    assert.equal(done.code, 1, done.stdout + done.stderr);
    assert.match(done.stdout, message);
    assert.deepEqual(await keysIn(lab), []);
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
  });
}

for (const [limit, delay] of [
  ['snapshot', 'snapshotBlocksPerSecond'],
  ['account', 'accountBlocksPerSecond'],
] as const) {
  test(`the limit of the ${limit} is respected after the first throttling, and reported`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab, GPT);
    await lab.control.setDelays({ [delay]: 6 });
    const done = await runMigrate(lab, DIRECT);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.ok(recordsOf(done).some(({ code, service }) => code === 'call.retried' && service === 'EBS'));
    const slowed = recordsOf(done).filter(({ code }) => code === 'blocks.slowed');
    assert.ok(slowed.length > 0, done.stdout);
    assert.ok(slowed.every((record) => record['limit'] === limit && record['snapshot'] === snapshotId));
    const rates = slowed.map(({ blocksPerSecond }) => Number(blocksPerSecond));
    assert.ok(rates.every((rate) => rate < 1000));
    await expectImage(lab, snapshotId, '.img.lz4');
  });
}

test('the limit of a snapshot slows only that snapshot; the limit of the account slows all', async () => {
  const { BlockRateLimiter } = await import('../../src/transfer/rate-limiter.ts');
  const rateLimiter = new BlockRateLimiter(2000);
  assert.equal(rateLimiter.reportThrottling('snap-a', 'snapshot'), 700);
  assert.equal(rateLimiter.reportThrottling('snap-a', 'snapshot'), null, 'of the same burst');
  assert.equal(rateLimiter.reportThrottling('snap-b', 'snapshot'), 700, 'as if snap-a had not been refused');
  assert.equal(rateLimiter.reportThrottling('snap-a', 'account'), 1400);
  assert.equal(rateLimiter.reportThrottling('snap-b', 'account'), null, 'of the same burst');
});

test('a killed migration resumes', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, GPT);
  await killedAtObjectStart(t, lab, snapshotId);
  const done = await runMigrate(lab, DIRECT);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  await expectImage(lab, snapshotId, '.img.lz4');
});

async function killedAtObjectStart(_t: TestContext, lab: TestLab, id: string): Promise<void> {
  const env = { SNAP_TO_S3_TEST_RUN: `${id}-direct` };
  assertKilled(
    await runMigrate(lab, DIRECT, {
      env,
      onLine: (line) => {
        if (line.includes('"object.started"')) killFamily(env.SNAP_TO_S3_TEST_RUN);
      },
    }),
  );
}

test('--source auto reads directly if possible, otherwise from a volume, and reports the reason', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, GPT);
  const auto = ['--all', '--dd', '--source', 'auto', '--json'];
  await lab.control.script({
    service: 'ebs',
    operation: 'ListSnapshotBlocks',
    every: 1,
    action: { kind: 'error', code: 'AccessDeniedException', status: 403 },
  });
  const done = await runMigrate(lab, auto);
  await lab.control.clearFaults();
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const chosen = recordsOf(done).find(({ code }) => code === 'source.chosen');
  assert.equal(chosen?.['source'], 'volume');
  assert.match(String(chosen?.['reason']), /could not list the blocks of snap-/);
  const { volume, direct } = (chosen?.['dollars'] ?? {}) as { volume: number; direct: number };
  assert.ok(volume > 0 && direct > 0);
  const again = await runMigrate(lab, ['--snapshots', snapshotId, '--replace', ...auto.slice(1)]);
  assert.equal(recordsOf(again).find(({ code }) => code === 'source.chosen')?.['source'], 'direct');
  await expectImage(lab, snapshotId, '.img.lz4');
});
