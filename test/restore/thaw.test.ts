/** Objects in archive classes: the price comes first, only needed objects are thawed, and nothing is stored locally. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, type RunOptions, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { onTerminal } from '../support/processes/terminal.ts';

const runRestore = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli(lab.env, ['restore', '--bucket', BUCKET, '--json', ...argv], options);

const HOUR = 3_600_000;

/** Returns the partitions whose objects S3 was asked to thaw. */
const asked = async (lab: TestLab): Promise<string[]> =>
  (await lab.control.calls())
    .filter(({ operation }) => operation === 'RestoreObject')
    .map((call) => /\.(\d)\.tar|img/.exec(decodeURIComponent(JSON.stringify(call)))?.[1] ?? 'disk');

const TWO = {
  table: 'gpt' as const,
  partitions: ['one', 'two'].map((name) => ({
    content: 'ext4' as const,
    sizeMiB: 16,
    populate: async (root: string) => writeFileSync(join(root, name), name),
  })),
};

test('files: the thaw is offered, requested once and only for needed objects, awaited, and interrupted', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, TWO);
  assert.equal((await runMigrate(lab, ['--all', '--storage-class', 'DEEP_ARCHIVE'])).code, 0);
  await lab.control.setDelays({ restore: HOUR });
  const into = join(lab.directory, 'into');
  const restore = (argv: string[], options: RunOptions = {}) =>
    runRestore(lab, [snapshotId, '--to-dir', into, ...argv], options);

  const told = await restore(['--thaw-days', '7']);
  assert.equal(told.code, 1, told.stdout + told.stderr);
  const offer = recordsOf(told).find(({ code }) => code === 'thaw.offered');
  assert.deepEqual([offer?.['objects'], offer?.['days'], offer?.['storageClasses']], [2, 7, ['DEEP_ARCHIVE']]);
  const tiers = (offer?.['offers'] as { tier: string; takes: string; dollars: number }[]) ?? [];
  assert.deepEqual(
    tiers.map(({ tier, takes }) => [tier, takes]),
    [
      ['Bulk', 'up to 48 hours'],
      ['Standard', 'up to 12 hours'],
    ],
  );
  assert.ok((tiers[0]?.dollars ?? 0) > 0 && (tiers[1]?.dollars ?? 0) > (tiers[0]?.dollars ?? 0));
  const dear = await restore(['--yes', '--thaw-tier', 'Expedited']);
  assert.equal(dear.code, 2, dear.stdout + dear.stderr);
  assert.deepEqual(await asked(lab), []);

  const begun = await restore(['--yes', '--path', 'one']);
  assert.equal(begun.code, 13, begun.stdout + begun.stderr);
  const end = recordsOf(begun).find(({ code }) => code === 'run.finished');
  assert.deepEqual([end?.['failed'], end?.['thawing']], [[], [snapshotId]]);
  assert.match(
    begun.stdout,
    /THAWING.*snap-to-s3 restore --bucket backups --json snap-\w+ --to-dir \S+ --yes --path one/,
  );
  assert.deepEqual(await asked(lab), ['1']);
  assert.ok(!existsSync(into), 'nothing is made before everything can be read');
  const again = await restore(['--yes', '--path', 'one', '--wait'], {
    onLine: (line, signal) => line.includes('thaw.waiting') && signal('SIGINT'),
  });
  assert.equal(again.code, 130, again.stdout + again.stderr);
  assert.deepEqual(await asked(lab), ['1'], 'asked for once');

  await lab.control.setDelays({ restore: 1500 });
  const waited = await restore(['--yes', '--path', 'two', '--wait']);
  assert.equal(waited.code, 0, waited.stdout + waited.stderr);
  assert.ok(recordsOf(waited).some(({ code }) => code === 'thaw.finished'));
  assert.deepEqual(await asked(lab), ['1', '2']);
  assert.equal(readFileSync(join(into, '2', 'two'), 'utf8'), 'two');
  const nowhere = await restore(['--yes', '--partition', '1', '--overwrite', '--path', 'two']);
  assert.equal(nowhere.code, 10, nowhere.stdout + nowhere.stderr);
  assert.match(nowhere.stdout, /does not contain two.*nothing was restored/);
  assert.deepEqual(await asked(lab), ['1', '2'], 'nor is one object thawed that does not have it');
});

test('images: confirmation on a terminal, and refusals of S3', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const flags = ['--dd', '--source', 'direct', '--storage-class', 'GLACIER'];
  assert.equal((await runMigrate(lab, ['--all', ...flags])).code, 0);
  await lab.control.setDelays({ restore: HOUR });
  const argv = [snapshotId, '--to-file', join(lab.directory, 'disk.img')];
  const fault = { service: 's3', operation: 'RestoreObject', times: 1 } as const;

  await lab.control.script({
    ...fault,
    action: { kind: 'error', code: 'GlacierExpeditedRetrievalNotAvailable', status: 503 },
  });
  const full = await runRestore(lab, [...argv, '--yes', '--thaw-tier', 'Expedited']);
  assert.equal(full.code, 1, full.stdout + full.stderr);
  assert.match(full.stdout, /no capacity for an expedited/);
  await lab.control.script({ ...fault, action: { kind: 'error', code: 'AccessDenied', status: 403 } });
  assert.match((await runRestore(lab, [...argv, '--yes'])).stdout, /ACCESS_DENIED/);
  await lab.control.script({ ...fault, action: { kind: 'error', code: 'RestoreAlreadyInProgress', status: 409 } });
  const raced = await runRestore(lab, [...argv, '--yes']);
  assert.equal(raced.code, 13, raced.stdout + raced.stderr);
  assert.ok(recordsOf(raced).some(({ code, state }) => code === 'thaw.requested' && state === 'ongoing'));

  const before = (await asked(lab)).length;
  const restore = ['restore', '--bucket', BUCKET, ...argv];
  const declined = await onTerminal(lab.env, 'n', restore);
  assert.equal(declined.code, 1, declined.stdout);
  assert.match(
    declined.stdout,
    /> Bulk +5 to 12 hours +<?\$[\d.]+\s+Standard +3 to 5 hours[\s\S]*Thaw the objects at the selected price\?[\s\S]*restore: 0 done, 1 failed/,
  );
  assert.equal((await asked(lab)).length, before);
  const key = '9:0123456789ABCDEF0123456789ABCDEF';
  const agreed = await onTerminal(lab.env, 'y', [...restore, '--gpg-session-key', key]);
  assert.equal(agreed.code, 13, agreed.stdout);
  assert.equal((await asked(lab)).length, before + 1);
  assert.match(agreed.stdout, /--gpg-session-key KEY/);
  assert.ok(!agreed.stdout.includes(key), 'the secret is not repeated');
});
