/** Drills restore a random sample of archives, read the data again, and write a report. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteSnapshotCommand, DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import type { Manifest } from '../../src/archive/manifest.ts';
import { s3ArchiveStore } from '../../src/cloud/aws/s3/archive-store.ts';
import { silentHost } from '../../src/events.ts';
import { compareFilesWithIndex, compareImageWithIndex } from '../../src/operations/drill/compare-restored.ts';
import { imageIndexOf } from '../../src/operations/reading/index/image-index.ts';
import { byteWithData, keysIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, labForTest, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { runDrill } from '../support/processes/run-drill.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';

const NASTY = {
  table: 'none' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 600, populate: (root: string) => makeNastyTree(join(root, 'nasty')) },
  ],
};

test('files with all attributes, an image, an archive in an archive class, and a damaged one', async (t) => {
  const lab = await labForTest(t);
  const nasty = await addSnapshotOf(lab, NASTY);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const image = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--dd', '--source', 'direct'])).code, 0);
  const frozen = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--storage-class', 'DEEP_ARCHIVE'])).code, 0);

  const good = await runDrill(lab, ['--sample', '5', '--seed', '2026-Q4']);
  assert.equal(good.code, 0, good.said);
  assert.equal(good.report.verdict, 'passed');
  assert.deepEqual(good.report.population, { found: 3, incomplete: 0, incremental: 0, archived: 1 });
  const rows = new Map(good.report.archives.map((row) => [row.snapshot, row]));
  assert.deepEqual(new Set(rows.keys()), new Set([nasty.snapshotId, image.snapshotId]));
  assert.deepEqual(rows.get(nasty.snapshotId)?.comparedWith, ['index', 'archive'], 'it has sparse files');
  assert.deepEqual(rows.get(image.snapshotId)?.comparedWith, ['index']);
  assert.ok((rows.get(nasty.snapshotId)?.files ?? 0) > 20);
  const { bytes: imageBytes = 0 } = rows.get(image.snapshotId) ?? {};
  assert.ok(imageBytes > 0 && imageBytes < 2 ** 28, `${imageBytes}: holes are not counted`);
  assert.match(good.stdout, /^Restore drill\n {2}verdict +PASSED/);
  assert.match(good.html, /<p class="verdict good">PASSED/);
  assert.match(good.html, new RegExp(`<td>${nasty.snapshotId}</td><td>passed</td><td>${nasty.volumeId}</td>`));
  assert.doesNotMatch(good.html, /<script|src=|href=/);
  const calls = await lab.control.calls();
  assert.ok(!calls.some(({ operation }) => operation === 'RestoreObject'));

  await lab.control.setDelays({ restore: 500 });
  const thawed = await runDrill(lab, ['--snapshots', frozen.snapshotId, '--thaw', '--yes', '--wait']);
  assert.equal(thawed.code, 0, thawed.said);
  assert.equal(thawed.report.archives[0]?.outcome, 'passed');

  const key = (await keysIn(lab)).find((name) => name.includes(image.snapshotId) && name.endsWith('.img.lz4')) ?? '';
  const bytes = await bytesOf(lab, key);
  const at = await byteWithData(lab, `${image.snapshotId}.index.zst`);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await replaceObject(lab, key, bytes);
  const bad = await runDrill(lab, ['--sample', '2', '--snapshots', image.snapshotId, frozen.snapshotId]);
  assert.equal(bad.code, 12, bad.said);
  assert.equal(bad.report.verdict, 'differs');
  assert.deepEqual(
    new Map(bad.report.archives.map(({ snapshot, outcome }) => [snapshot, outcome])),
    new Map([
      [image.snapshotId, 'differs'],
      [frozen.snapshotId, 'passed'],
    ]),
  );
  assert.match(bad.html, /class="verdict bad"/);
});

test('encrypted archives with and without their key, and an archive of version 0', async (t) => {
  const [GNUPGHOME, empty] = [await gpgHome(t), await gpgHome(t)];
  await addKey(GNUPGHOME, 'ops@example.com');
  const lab = await labForTest(t);
  const migrate = async (flags: string[]) => {
    const added = await addSnapshotOf(lab);
    assert.equal((await runMigrate(lab, ['--all', ...flags], { env: { GNUPGHOME } })).code, 0);
    return added.snapshotId;
  };
  const recipient = ['--gpg-recipient', 'ops@example.com'];
  const tar = await migrate(recipient);
  const image = await migrate([...recipient, '--dd', '--source', 'direct']);
  const plain = await migrate([]);
  const key = (await keysIn(lab)).find((name) => name.includes(plain) && name.endsWith('.tar.lz4')) ?? '';
  const old = 'vol-0123456789abcdef0/2017-06-30T22:00:00+00:00 snap-0123456789abcdef0 - <b>old</b>.tar.lz4';
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: old, Body: await bytesOf(lab, key) }));
  const ids = ['--sample', '3', '--snapshots', tar, image, 'snap-0123456789abcdef0'];
  const done = await runDrill(lab, ids, { env: { GNUPGHOME } });
  assert.equal(done.code, 0, done.said);
  assert.deepEqual(
    new Map(done.report.archives.map(({ snapshot, comparedWith }) => [snapshot, comparedWith])),
    new Map([
      [tar, ['index']],
      [image, ['index']],
      ['snap-0123456789abcdef0', ['archive-content']],
    ]),
  );
  assert.ok(done.html.includes('&lt;b&gt;old&lt;/b&gt;') && !done.html.includes('<b>'));
  const locked = await runDrill(lab, ids, { env: { GNUPGHOME: empty } });
  assert.equal(locked.code, 3, locked.said);
  assert.equal(locked.report.verdict, 'failed');
  assert.equal(locked.report.archives.filter(({ outcome }) => outcome === 'passed').length, 1);
});

test('--with-snapshot compares with an existing snapshot and does not tag it', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const there = await runDrill(lab, ['--with-snapshot', '--wait-limit', '30']);
  assert.equal(there.code, 0, there.said);
  assert.deepEqual(there.report.archives[0]?.comparedWith, ['index', 'snapshot']);
  const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [snapshotId] }));
  assert.deepEqual(Snapshots[0]?.Tags, [{ Key: 'snap-to-s3', Value: 'migrated' }]);
  assert.ok(!(await keysIn(lab)).some((key) => key.includes('/claims/')));
  await lab.ec2.send(new DeleteSnapshotCommand({ SnapshotId: snapshotId }));
  const gone = await runDrill(lab, ['--with-snapshot']);
  assert.equal(gone.code, 0, gone.said);
  assert.deepEqual(gone.report.archives[0]?.comparedWith, ['index']);
});

test('the report has the AWS caller, or the reason why it is unknown', async (t) => {
  const lab = await labForTest(t);
  const drilled = async (env: Record<string, string>, argv: string[] = []) => {
    const done = await runDrill({ ...lab, env }, argv);
    assert.equal(done.code, 10, done.said);
    return done;
  };
  const { accessKeyId, secretAccessKey, arn } = await lab.control.addIdentity('<auditor>', null);
  const known = await drilled({ ...lab.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
  assert.deepEqual(known.report.caller, { arn, account: '123456789012' });
  assert.deepEqual(known.report.warnings, []);
  assert.match(known.stdout, /^ {2}caller {4}arn:aws:iam::123456789012:user\/<auditor>, account 123456789012$/m);
  assert.match(known.html, /<th scope="row">AWS caller<\/th><td>arn:.*user\/&lt;auditor&gt;, account 123456789012</);

  const unknown = async (why: RegExp, env: Record<string, string>, argv: string[] = []) => {
    const done = await drilled(env, argv);
    assert.deepEqual(done.report.caller, { arn: 'unknown', account: 'unknown' });
    assert.match(done.report.warnings[0] ?? '', why);
    assert.match(done.stdout, /^ {2}caller {4}unknown$/m);
    assert.match(done.stdout, /^ {2}warning {3}the AWS caller is unknown: /m);
    assert.match(done.html, /<th scope="row">Warning<\/th><td>the AWS caller is unknown: /);
  };
  const action = { kind: 'error', code: 'ServiceBlocked', message: '<no>', status: 403 } as const;
  await lab.control.script({ service: 'sts', operation: 'GetCallerIdentity', action });
  await unknown(/could not get the caller identity from STS: ServiceBlocked \(<no>\)$/, lab.env);
  await lab.control.clearCalls();
  const { AWS_ENDPOINT_URL_STS: _sts, AWS_ENDPOINT_URL_S3: url = '', ...env } = lab.env;
  await unknown(/the bucket is at 127\.0\.0\.1:\d+, not at AWS, so STS was not called$/, env, ['--endpoint-url', url]);
  assert.ok(!(await lab.control.calls()).some(({ service }) => service === 'sts'));
});

test('no space, an interruption, no archive, and conflicting flags', async (t) => {
  const lab = await labForTest(t);
  const none = await runDrill(lab, []);
  assert.deepEqual([none.code, none.report.verdict], [10, 'nothing'], none.said);
  await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--dd', '--source', 'direct'])).code, 0);
  const stopped = await runDrill(lab, ['--json'], {
    onLine: (line, signal) => line.includes('"run.started"') && signal('SIGTERM'),
  });
  assert.equal(stopped.code, 130, stopped.said);
  assert.equal(stopped.report.verdict, 'unfinished');
  const small = join(lab.directory, 'small');
  mkdirSync(small);
  await run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small]);
  try {
    const full = await runDrill(lab, ['--scratch', small]);
    assert.equal(full.code, 1, full.said);
    assert.deepEqual([full.report.verdict, full.report.archives[0]?.outcome], ['failed', 'failed']);
    assert.deepEqual(readdirSync(small), []);
  } finally {
    await run(['umount', small]);
  }
  for (const argv of [['--yes'], ['--seed', 'a b'], ['--sample', '0']]) {
    const wrong = await runCli(lab.env, ['drill', '--bucket', BUCKET, ...argv]);
    assert.equal(wrong.code, 2, argv.join(' '));
  }
  const nowhere = await runCli(lab.env, ['drill', '--bucket', BUCKET, '--scratch', join(lab.directory, 'nowhere')]);
  assert.equal(nowhere.code, 1, nowhere.stderr);
  assert.match(nowhere.stderr, /TARGET/);
});

const SECOND = 1_000_000_000n;

/** Returns the arguments with which a drill reads restored data again, so that a test can change the data first. */
function reading(lab: TestLab, manifest: Manifest) {
  const clients = { control: lab.s3, transfer: lab.s3 };
  const store = s3ArchiveStore(clients, { bucket: BUCKET, storageClass: 'STANDARD', tagAfterUpload: false });
  const [facts] = manifest.objects;
  assert.ok(facts);
  const check = { store, host: silentHost, signal: new AbortController().signal, streams: 4, sessionKey: null };
  return { object: { ...facts, facts }, check };
}

test('the restored files are read again, and any change to them is found', async (t) => {
  const lab = await labForTest(t);
  const populate = async (root: string) => {
    await fillPlainly(root);
    for (const name of ['mode', 'time', 'content', 'gone', 'first', 'type', 'attribute', 'rights', 'capability'])
      writeFileSync(join(root, name), `a file: ${name}`);
    await run(['setfattr', '-n', 'user.kind', '-v', 'old', join(root, 'attribute')]);
    await run(['setfacl', '-m', 'u:31337:r', join(root, 'rights')]);
    await run(['setcap', 'cap_net_raw+ep', join(root, 'capability')]);
    linkSync(join(root, 'first'), join(root, 'second'));
  };
  const { snapshotId } = await addSnapshotOf(lab, {
    table: 'none',
    partitions: [{ content: 'ext4', sizeMiB: 32, populate }],
  });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const root = join(lab.directory, 'restored');
  const argv = ['restore', snapshotId, '--bucket', BUCKET, '--to-dir', root, '--privileged'];
  assert.equal((await runCli(lab.env, argv)).code, 0);
  const { object, check } = reading(lab, await readManifest(lab));
  const compare = () => compareFilesWithIndex(object, snapshotId, root, true, check);
  assert.deepEqual((await compare()).differences.kept, []);
  const kinds = async () => new Set((await compare()).differences.kept.map(({ kind, path }) => `${kind} ${path}`));
  const { mtimeNs } = statSync(root, { bigint: true });
  const keepTime = () =>
    run(['touch', `--date=@${mtimeNs / SECOND}.${String(mtimeNs % SECOND).padStart(9, '0')}`, root]);
  writeFileSync(join(root, 'extra'), '');
  await keepTime();
  assert.deepEqual(await kinds(), new Set(['not-in-archive ']));
  rmSync(join(root, 'extra'));
  await keepTime();
  assert.deepEqual(await kinds(), new Set());
  await run(['setfattr', '-n', 'user.more', '-v', '1', join(root, 'first')]);
  assert.match([...(await kinds())].join(), /^xattrs (first|second)$/, 'of a file with several names');
  await run(['setfattr', '-x', 'user.more', join(root, 'first')]);
  await run(['setfattr', '-n', 'user.kind', '-v', 'new', join(root, 'attribute')]);
  await run(['setfacl', '-m', 'u:31337:rw,m::r', join(root, 'rights')]);
  await run(['setcap', '-r', join(root, 'capability')]);
  assert.deepEqual(await kinds(), new Set(['xattrs attribute', 'xattrs capability', 'xattrs rights']));
  const untouched = join(root, 'content');
  const { atime, mtime } = statSync(untouched);
  writeFileSync(untouched, 'A file: content');
  utimesSync(untouched, atime, mtime);
  chmodSync(join(root, 'mode'), 0o600);
  utimesSync(join(root, 'time'), 1, 1);
  rmSync(join(root, 'gone'));
  rmSync(join(root, 'second'));
  writeFileSync(join(root, 'second'), 'a file: first');
  rmSync(join(root, 'type'));
  mkdirSync(join(root, 'type'));
  const found = await kinds();
  for (const difference of ['content content', 'mode mode', 'mtime time', 'not-on-disk gone', 'type type'])
    assert.ok(found.has(difference), `${difference}: ${JSON.stringify([...found])}`);
  // The tar stores the data under the name that it has first, which can be either one.
  assert.ok(found.has('links first') || found.has('links second'), JSON.stringify([...found]));
});

test('a restored image is read again, block by block', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all', '--dd', '--source', 'direct'])).code, 0);
  const file = join(lab.directory, 'disk.img');
  assert.equal((await runCli(lab.env, ['restore', snapshotId, '--bucket', BUCKET, '--to-file', file])).code, 0);
  const { object, check } = reading(lab, await readManifest(lab));
  const table = (await imageIndexOf(object, snapshotId, check))?.table;
  assert.ok(table);
  const compare = async () => (await compareImageWithIndex(file, table, check.signal)).differences.kept;
  assert.deepEqual(await compare(), []);
  const { size } = statSync(file);
  const spoil = (position: number) => {
    const descriptor = openSync(file, 'r+');
    writeSync(descriptor, 'x', position);
    closeSync(descriptor);
  };
  spoil(size - 1);
  spoil(1030);
  assert.deepEqual(
    (await compare()).map(({ detail }) => detail),
    [0, size - 524_288].map((at) => `the restored block at byte ${at} differs`),
  );
  truncateSync(file, size - 600_000);
  assert.equal((await compare())[0]?.kind, 'size');
});
