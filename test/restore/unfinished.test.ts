/** Archives without a manifest: unfinished ones are distinguished from those of version 0. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import { keysIn } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import {
  BUCKET,
  type Finished,
  labForTest,
  recordsOf,
  runCli,
  runMigrate,
  runProgram,
  runValidate,
  type TestLab,
} from '../support/lab.ts';
import { bytesOf, through } from '../support/tamper.ts';

const VOLUME = 'vol-0123456789abcdef0';
const START = '2017-06-30T22:00:00';

const readers = (lab: TestLab) => {
  const cli = (argv: readonly string[]) => runCli(lab.env, argv);
  const scratch = join(lab.directory, 'scratch');
  mkdirSync(scratch, { recursive: true });
  return {
    restore: async (id: string, ...flags: string[]) => {
      const into = join(lab.directory, 'into');
      rmSync(into, { recursive: true, force: true });
      const done = await cli(['restore', id, '--bucket', BUCKET, '--json', '--to-dir', into, ...flags]);
      return { ...done, restored: existsSync(into) ? readdirSync(into) : [] };
    },
    prove: (id: string, ...flags: string[]) =>
      runValidate(lab, ['--json', '--snapshots', id, '--archive-only', ...flags]),
    drill: (id: string, ...flags: string[]) =>
      cli(['drill', '--bucket', BUCKET, '--json', '--scratch', scratch, '--snapshots', id, ...flags]),
    list: async (id: string) => {
      const done = await cli(['list', '--bucket', BUCKET, '--json', '--snapshots', id]);
      return (recordsOf(done)[0]?.['archive'] as { state: string } | undefined)?.state;
    },
    show: async (id: string) => (await cli(['list', id, '--bucket', BUCKET])).stdout,
  };
};

const originIn = (done: Finished): unknown =>
  recordsOf(done).find(({ code }) => code === 'archive.without-manifest')?.['origin'];

/** Uploads a tar of one file. */
async function putTar(t: TestContext, lab: TestLab, key: string, Metadata: Record<string, string> = {}): Promise<void> {
  const directory = join(lab.directory, 'tree');
  mkdirSync(directory, { recursive: true });
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'letters'), 'abc');
  const tar = join(lab.directory, 'tree.tar');
  await run(['tar', '-cf', tar, '--format=pax', '-C', directory, '.']);
  const Body = await through(['lz4', '-1', '-q', '-c'], readFileSync(tar));
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body, Metadata }));
}

test('an unfinished archive is distinguished from one of version 0; if that is impossible, a flag is required', async (t) => {
  const lab = await labForTest(t);
  const { restore, prove, drill, list, show } = readers(lab);
  const id = (number: number) => `snap-${String(number).padStart(17, '0')}`;
  const put = (number: number, rest: string, metadata = {}, offset = '+00:00') =>
    putTar(t, lab, `${VOLUME}/${START}${offset} ${id(number)}${rest}`, metadata);
  await put(1, ' - web.tar.lz4', { 'snapshot-description': 'web' });
  await put(2, '.tar.lz4', {}, '-04:00');
  await put(3, '.2.tar.lz4');
  await put(4, '.1.tar.lz4', { 'snapshot-description': 'nightly' });
  await put(5, '.1.tar.lz4', { 'archive-format': '1' });
  await put(6, '.1.tar.lz4');
  await put(6, '.1.index.zst');
  for (const number of [1, 2]) {
    const done = await restore(id(number));
    assert.deepEqual([done.code, done.restored, originIn(done)], [0, ['letters'], 'version-0'], done.stdout);
    assert.equal((await prove(id(number))).code, 0);
    assert.equal(await list(id(number)), 'without-manifest');
  }
  assert.equal((await drill(id(1))).code, 0);
  for (const [number, origin] of [
    [3, 'unknown'],
    [4, 'unfinished'],
    [5, 'unfinished'],
    [6, 'unfinished'],
  ] as const) {
    const what = origin === 'unknown' ? /UNFINISHED.*may be unfinished/ : /UNFINISHED.*is unfinished/;
    for (const done of [await restore(id(number)), await prove(id(number))]) {
      assert.equal(done.code, 1, done.stdout);
      assert.match(done.stdout, what);
    }
    assert.ok(!existsSync(join(lab.directory, 'into')));
    assert.match((await restore(id(number), '--dry-run')).stdout, what);
  }
  assert.equal(await list(id(6)), 'unfinished');
  assert.match(await show(id(5)), /no manifest\. Unfinished: version 0 did not write such object metadata/);
  assert.match(await show(id(3)), /no manifest\. Possibly unfinished: it may be of version 0/);
  const drilled = await drill(id(3));
  assert.equal(drilled.code, 1, drilled.stdout);
  assert.match(drilled.stdout, /UNFINISHED/);
  assert.equal((await drill(id(6))).code, 10, 'it is not chosen');
  const accepted = await restore(id(5), '--without-manifest');
  assert.deepEqual([accepted.code, accepted.restored, originIn(accepted)], [0, ['letters'], 'unfinished']);
  assert.equal((await prove(id(3), '--without-manifest')).code, 0);
  assert.equal((await drill(id(3), '--without-manifest')).code, 0);
});

test('an unfinished migration of two partitions is refused, also by contrib/restore.py', async (t) => {
  const lab = await labForTest(t);
  const ext4 = { content: 'ext4' as const, sizeMiB: 16, populate: fillPlainly };
  const disk = { table: 'dos' as const, partitions: [ext4, ext4] };
  const { snapshotId, volumeId } = await addSnapshotOf(lab, disk, { startTime: `${START}.000Z` });
  const stem = `${volumeId}/${START}+00:00 ${snapshotId}`;
  const action = { kind: 'error', code: 'AccessDenied', status: 403 } as const;
  const match = { key: `${stem}.2.tar.lz4` };
  await lab.control.script({ service: 's3', operation: 'CreateMultipartUpload', match, times: 1, action });
  const failed = await runMigrate(lab, ['--all']);
  assert.equal(failed.code, 1, failed.stderr);
  const keys = await keysIn(lab);
  assert.ok(keys.includes(`${stem}.1.tar.lz4`) && keys.includes(`.snap-to-s3/claims/${snapshotId}.json`), `${keys}`);
  const { restore, list } = readers(lab);
  const done = await restore(snapshotId);
  assert.equal(done.code, 1, done.stdout);
  assert.match(done.stdout, /UNFINISHED.*is unfinished: the claim of an unfinished migration/);
  assert.equal(await list(snapshotId), 'unfinished');
  const compared = await runValidate(lab, ['--snapshots', snapshotId]);
  assert.match(compared.stderr, /is unfinished/);

  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const asSnapshot = await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--to-snapshot']);
  assert.equal(asSnapshot.code, 10, asSnapshot.stderr);
  assert.match(asSnapshot.stderr, /it contains files: restore the disk with --to-volume/);
  assert.equal(asSnapshot.stderr.match(/has no image of the whole disk/g)?.length, 1, 'it is told once');
  const bucket = join(lab.directory, 'bucket');
  for (const key of (await keysIn(lab)).filter((name) => name.startsWith(stem))) {
    mkdirSync(dirname(join(bucket, key)), { recursive: true });
    writeFileSync(join(bucket, key), await bytesOf(lab, key));
  }
  const script = join(import.meta.dirname, '..', '..', 'contrib', 'restore.py');
  const read = () =>
    runProgram(['/usr/bin/python3', script, 'list', bucket, `${stem}.manifest.json`], { env: lab.env });
  assert.equal((await read()).code, 0);
  rmSync(join(bucket, `${stem}.2.tar.lz4`));
  assert.match((await read()).stderr, /^the archive is incomplete: .*\.2\.tar\.lz4/m);
  rmSync(join(bucket, `${stem}.manifest.json`));
  assert.match((await read()).stderr, /^\S+ .*manifest\.json does not exist: without a manifest/m);
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: `${stem}.manifest.json` }));
  assert.match((await restore(snapshotId)).stdout, /is unfinished: it has indexes/);
});
