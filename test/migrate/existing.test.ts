/** Snapshots with an archive: nothing is uploaded twice, and a valid archive is kept until its replacement exists. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CreateTagsCommand } from '@aws-sdk/client-ec2';
import { DeleteObjectCommand, GetObjectTaggingCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { keyEnding, keysIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { addKey, gpgHome, importPublicKey, signKey } from '../support/gpg.ts';
import {
  BUCKET,
  type Finished,
  labForTest,
  recordsOf,
  runCli,
  runMigrate,
  runValidate,
  type TestLab,
} from '../support/lab.ts';
import { assertKilled } from '../support/processes/kill-family.ts';
import { bytesOf, changeDisk, replaceObject } from '../support/tamper.ts';

/** Runs `migrate`, and counts the uploads that it starts. */
async function migrateAgain(lab: TestLab, argv: readonly string[]): Promise<{ done: Finished; uploads: number }> {
  await lab.control.clearCalls();
  const done = await runMigrate(lab, argv);
  const calls = await lab.control.calls();
  return { done, uploads: calls.filter(({ operation }) => operation === 'CreateMultipartUpload').length };
}

async function objectTagsOf(lab: TestLab, Key: string): Promise<unknown> {
  const { TagSet } = await lab.s3.send(new GetObjectTaggingCommand({ Bucket: BUCKET, Key }));
  return TagSet;
}

async function stateIn(lab: TestLab, id: string): Promise<string> {
  const done = await runCli(lab.env, ['list', '--bucket', BUCKET, '--snapshots', id, '--json']);
  const [listed = {}] = recordsOf(done);
  return (listed['archive'] as { state: string }).state;
}

const setTag = (lab: TestLab, id: string, Value: string) =>
  lab.ec2.send(new CreateTagsCommand({ Resources: [id], Tags: [{ Key: 'snap-to-s3', Value }] }));

test('a complete archive with the same settings is kept or only validated; it is replaced on request or if anything differs', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId: id } = await addSnapshotOf(lab);
  const ids = ['--snapshots', id];
  assert.equal((await runMigrate(lab, ids)).code, 0);
  const { finishedAt } = await readManifest(lab);

  await setTag(lab, id, 'migrate');
  const kept = await migrateAgain(lab, ids);
  assert.equal(kept.done.code, 0, kept.done.stderr);
  assert.equal(kept.uploads, 0);
  assert.match(kept.done.stderr, /skipped: already archived \(.*\), complete and with the same settings/);
  assert.equal((await tagsOf(lab, id))['snap-to-s3'], 'migrated');

  const planned = await migrateAgain(lab, [...ids, '--dry-run', '--storage-class', 'DEEP_ARCHIVE']);
  assert.match(planned.done.stdout, /exists {3}the archive would be kept: already archived/);
  assert.doesNotMatch(planned.done.stdout, /^ {2}reads /m);
  const other = await migrateAgain(lab, [...ids, '--dry-run', '--compression', 'zstd']);
  assert.match(
    other.done.stdout,
    /the archive would be replaced: it is compressed with lz4 at level 1, not with zstd at level 1/,
  );
  const image = await migrateAgain(lab, [...ids, '--dry-run', '--dd']);
  assert.match(image.done.stdout, /the archive would be replaced: it is stored as tar, not as image/);

  const proved = await migrateAgain(lab, [...ids, '--validate']);
  assert.equal(proved.done.code, 0, proved.done.stderr);
  assert.equal(proved.uploads, 0);
  assert.equal((await tagsOf(lab, id))['snap-to-s3'], 'validated');
  assert.ok((await readManifest(lab)).validatedAt);
  await migrateAgain(lab, ids);
  assert.equal((await tagsOf(lab, id))['snap-to-s3'], 'validated', 'as it was');

  // The upload cannot be completed, so the existing archive remains complete.
  const action = { kind: 'error', code: 'AccessDenied', status: 403 } as const;
  await lab.control.script({ service: 's3', operation: 'CompleteMultipartUpload', action });
  const failed = await migrateAgain(lab, [...ids, '--compression-level', '9']);
  assert.equal(failed.done.code, 1, failed.done.stderr);
  assert.equal(failed.uploads, 1);
  assert.equal(await stateIn(lab, id), 'complete');
  assert.equal((await readManifest(lab)).finishedAt, finishedAt);

  const replaced = await migrateAgain(lab, [...ids, '--replace']);
  assert.equal(replaced.done.code, 0, replaced.done.stderr);
  assert.match(replaced.done.stderr, /replacing the existing archive: .*--replace was given/);
  assert.notEqual((await readManifest(lab)).finishedAt, finishedAt);

  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: await keyEnding(lab, '.tar.lz4') }));
  const mended = await migrateAgain(lab, ids);
  assert.equal(mended.uploads, 1);
  assert.match(mended.done.stderr, /replacing the existing archive: .*\.tar\.lz4 is not in the bucket/);
  assert.equal(await stateIn(lab, id), 'complete');

  assert.equal((await migrateAgain(lab, [...ids, '--replace', '--no-replay'])).done.code, 0);
  const replayed = await migrateAgain(lab, [...ids, '--dry-run']);
  assert.match(replayed.done.stdout, /the archive would be replaced: its journals were not replayed/);

  const Key = await keyEnding(lab, '.manifest.json');
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: '{"format":99}' }));
  const unreadable = await migrateAgain(lab, ids);
  assert.equal(unreadable.done.code, 1);
  assert.match(unreadable.done.stderr, /is already archived, but .*\n.*--replace/);
  assert.equal(unreadable.uploads, 0);
  assert.match(
    (await migrateAgain(lab, [...ids, '--dry-run'])).done.stdout,
    /the snapshot would not be migrated: .*is already archived/,
  );
  assert.equal((await migrateAgain(lab, [...ids, '--replace'])).done.code, 0);
  assert.equal((await keysIn(lab)).length, 3);
});

test('an archive that differed from its snapshot is replaced', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  await changeDisk(lab, snapshotId, null, async (root) => {
    writeFileSync(join(root, 'later.txt'), 'not in the archive');
  });
  const compared = await runValidate(lab, ['--all']);
  assert.equal(compared.code, 12, compared.stderr);
  await setTag(lab, snapshotId, 'migrate');
  const again = await migrateAgain(lab, ['--all', '--validate']);
  assert.equal(again.done.code, 0, again.done.stderr);
  assert.match(again.done.stderr, /replacing the existing archive: it differed from the snapshot on 20/);
  assert.equal(again.uploads, 1);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  assert.equal((await readManifest(lab)).differedAt, undefined);
});

test('a damaged archive is recorded as such: list shows it, and migrate replaces it', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const key = await keyEnding(lab, '.tar.lz4');
  const tagsBefore = await objectTagsOf(lab, await keyEnding(lab, '.manifest.json'));
  const damage = { service: 's3', operation: 'GetObject', match: { key }, times: 99 } as const;
  await lab.control.script({ ...damage, action: { kind: 'flip', at: 200 } });
  const alone = await runValidate(lab, ['--snapshots', snapshotId, '--archive-only']);
  assert.equal(alone.code, 12, alone.stderr);
  await lab.control.clearFaults();
  assert.match((await readManifest(lab)).differedAt ?? '', /^20/);
  assert.deepEqual(await objectTagsOf(lab, await keyEnding(lab, '.manifest.json')), tagsBefore);
  assert.equal(await stateIn(lab, snapshotId), 'differed');
  const again = await migrateAgain(lab, ['--snapshots', snapshotId]);
  assert.match(again.done.stderr, /replacing the existing archive: it differed/);
  assert.equal(await stateIn(lab, snapshotId), 'complete');
});

test('an archive is kept if it is encrypted for the same recipients, otherwise replaced', async (t) => {
  const lab = await labForTest(t);
  const [home, theirs] = [await gpgHome(t), await gpgHome(t)];
  await addKey(home, 'ops@example.com');
  await addKey(theirs, 'boss@example.com');
  await importPublicKey(theirs, 'boss@example.com', home);
  await signKey(home, 'boss@example.com');
  const { snapshotId } = await addSnapshotOf(lab);
  const again = async (...argv: string[]) => {
    const done = await runMigrate(lab, ['--snapshots', snapshotId, ...argv], { env: { GNUPGHOME: home } });
    assert.equal(done.code, 0, done.stderr);
    return done.stdout + done.stderr;
  };
  const [ops, boss] = ['ops@example.com', 'boss@example.com'].map((name) => ['--gpg-recipient', name]);
  const both = [...(ops ?? []), ...(boss ?? [])];
  await again(...both);
  assert.match(await again(...both), /skipped: already archived/);
  assert.match(await again(...(ops ?? []), '--dry-run'), /it is also encrypted for key [0-9A-F]{16}/);
  await again(...(ops ?? []), '--replace');
  assert.match(await again(...both, '--dry-run'), /it is not encrypted for boss@example.com/);
  assert.match(await again('--dry-run'), /its encryption is gpg, not none/);
});

test('killed after the archive was complete: the same command uploads nothing, and releases the leftovers', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assertKilled(
    await runMigrate(lab, ['--all', '--json'], {
      onLine: (line, signal) => {
        if (line.includes('"manifest.stored"')) signal('SIGKILL');
      },
    }),
  );
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrating');
  const again = await migrateAgain(lab, ['--all']);
  assert.equal(again.done.code, 0, again.done.stderr);
  assert.match(again.done.stderr, /skipped: already archived/);
  assert.equal(again.uploads, 0);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
  assert.equal((await keysIn(lab)).length, 3, 'no claim is left');
});

test('an archive whose index is missing or was replaced is not complete, but its data is not uploaded again without --replace', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId: id } = await addSnapshotOf(lab);
  const argv = ['--snapshots', id, '--dd', '--source', 'direct'];
  assert.equal((await runMigrate(lab, argv)).code, 0);
  const [{ index } = { index: null }] = (await readManifest(lab)).objects;
  assert.ok(index);
  const place = { Bucket: BUCKET, Key: index.key };
  const plan = async () => (await runMigrate(lab, [...argv, '--dry-run'])).stdout;
  const stored = await readManifest(lab);
  assert.equal(await stateIn(lab, id), 'complete');
  for (const [bytes, state, proof] of [
    [index.bytes, 'replaced', []],
    [index.bytes + 1, 'incomplete', ['--validate']],
  ] as const) {
    await lab.s3.send(new PutObjectCommand({ ...place, Body: Buffer.alloc(bytes) }));
    assert.equal(await stateIn(lab, id), state);
    assert.match(await plan(), /the snapshot would not be migrated: .* is not the index in the manifest/);
    await setTag(lab, id, 'migrate');
    const refused = await migrateAgain(lab, [...argv, ...proof]);
    assert.equal(refused.done.code, 12, refused.done.stderr);
    assert.match(refused.done.stderr, /is not the index in the manifest: it was replaced.*\n.*--no-index.*--replace/);
    assert.equal(refused.uploads, 0);
    assert.equal((await tagsOf(lab, id))['snap-to-s3'], 'migrate');
    assert.equal((await runValidate(lab, ['--snapshots', id, '--archive-only'])).code, 12);
    assert.deepEqual(await readManifest(lab), stored);
  }
  await lab.s3.send(new DeleteObjectCommand(place));
  assert.equal(await stateIn(lab, id), 'incomplete');
  const WITHOUT = /WITHOUT ITS INDEX: .* is not in the bucket, so restore needs --no-index .*; --replace stores/;
  const planned = await plan();
  assert.match(planned, /the archive would be kept: already archived/);
  assert.match(planned, WITHOUT);
  const alone = await runValidate(lab, ['--snapshots', id, '--archive-only']);
  const compared = await migrateAgain(lab, [...argv, '--validate']);
  assert.equal(compared.uploads, 0);
  for (const { code, stderr } of [alone, compared.done]) {
    assert.equal(code, 12, stderr);
    assert.match(stderr, /index: .* is not in the bucket/);
    assert.match(stderr, /differs from its manifest or index: 1 difference\n.*data of the archive is intact/);
  }
  const kept = await migrateAgain(lab, argv);
  assert.equal(kept.done.code, 0, kept.done.stderr);
  assert.match(kept.done.stderr, WITHOUT);
  assert.doesNotMatch(kept.done.stderr, /complete/);
  assert.equal(kept.uploads, 0);
  assert.deepEqual(await readManifest(lab), stored);
  assert.equal(await stateIn(lab, id), 'incomplete');
  const mended = await migrateAgain(lab, [...argv, '--replace']);
  assert.equal(mended.done.code, 0, mended.done.stderr);
  assert.equal(mended.uploads, 1);
  assert.equal(await stateIn(lab, id), 'complete');
});

test('a damaged index of a copied archive is recorded, because its ETag does not show the damage', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId: id } = await addSnapshotOf(lab);
  const argv = ['--snapshots', id, '--dd', '--source', 'direct'];
  assert.equal((await runMigrate(lab, argv)).code, 0);
  const [object] = (await readManifest(lab)).objects;
  assert.ok(object?.index);
  await replaceObject(lab, object.key, await bytesOf(lab, object.key));
  await lab.s3.send(
    new PutObjectCommand({ Bucket: BUCKET, Key: object.index.key, Body: Buffer.alloc(object.index.bytes) }),
  );
  const plan = async () => (await runMigrate(lab, [...argv, '--dry-run'])).stdout;
  assert.match(await plan(), /the archive would be kept/);
  assert.equal((await runValidate(lab, ['--snapshots', id, '--archive-only'])).code, 12);
  assert.match(await plan(), /the archive would be replaced: it differed from the snapshot/);
});

test('the plan for many snapshots asks only for manifests that are in the bucket', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId: archived } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--snapshots', archived])).code, 0);
  const many = Array.from({ length: 16 }, () => lab.control.addSnapshot({ sizeGiB: 1 }));
  const ids = [archived, ...(await Promise.all(many)).map(({ snapshotId }) => snapshotId)];
  await lab.control.clearCalls();
  const done = await runMigrate(lab, ['--dry-run', '--json', '--snapshots', ...ids]);
  assert.equal(done.code, 0, done.stderr);
  const plans = recordsOf(done).flatMap(({ code, plan }) => (code === 'plan.snapshot' ? [plan] : [])) as {
    snapshot: string;
    existing: { action: string } | null;
  }[];
  assert.deepEqual(
    plans.map(({ snapshot, existing }) => [snapshot, existing?.action ?? null]),
    ids.map((id) => [id, id === archived ? 'keep' : null]),
  );
  const reads = (await lab.control.calls()).filter(({ operation }) => operation === 'GetObject');
  assert.deepEqual(
    reads.map(({ details }) => details['key']),
    [await keyEnding(lab, '.manifest.json')],
  );
});
