/** `list ARCHIVE` and `list --find` show the content of archives from manifests and indexes only. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import type { ListedFile, ShownArchive } from '../../src/events.ts';
import { keyEnding, keysIn } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { pathWithout } from '../support/processes/search-path.ts';

const runList = (lab: TestLab, argv: readonly string[], env: Record<string, string> = {}) =>
  runCli({ ...lab.env, ...env }, ['list', '--bucket', BUCKET, ...argv]);

async function filesOf(lab: TestLab, argv: readonly string[], code = 0): Promise<ListedFile[]> {
  const done = await runList(lab, ['--json', ...argv]);
  assert.equal(done.code, code, done.stdout + done.stderr);
  return recordsOf(done).flatMap(({ file }) => (file ? [file as ListedFile] : []));
}

const pathsOf = (files: ListedFile[]): string[] => files.map(({ path }) => path).sort();

/** Printed unchanged, this name would move the cursor, forge a line and reverse letters. */
const HOSTILE = Buffer.concat([Buffer.from('evil\x1b[2J\n-rw \u202ecod.exe \\ '), Buffer.from([0xff])]);

async function populate(root: string): Promise<void> {
  mkdirSync(join(root, 'etc', 'nginx', 'sites'), { recursive: true });
  writeFileSync(join(root, 'etc', 'nginx', 'nginx.conf'), 'worker', { mode: 0o640 });
  writeFileSync(join(root, 'etc', 'nginx', 'sites', '.hidden.conf'), 'site');
  writeFileSync(join(root, 'etc', 'größe.conf'), 'size');
  writeFileSync(Buffer.concat([Buffer.from(`${root}/etc/`), HOSTILE]), 'hostile');
  symlinkSync('/etc/nginx', join(root, 'link'));
}

const DISK = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 24, populate },
    { content: 'random' as const, sizeMiB: 2 },
    {
      content: 'ext4' as const,
      sizeMiB: 24,
      populate: async (root: string) => writeFileSync(join(root, 'a.conf'), ''),
    },
  ],
};

test('one archive: its facts and files are listed without reading data in Deep Archive', async (t) => {
  const lab = await labForTest(t);
  const tags = { 'snap-to-s3': 'migrate', Name: 'web\u001b[31m' };
  const { snapshotId, volumeId } = await addSnapshotOf(lab, DISK, { tags });
  assert.equal((await runMigrate(lab, ['--all', '--storage-class', 'DEEP_ARCHIVE'])).code, 0);
  const shown = await runList(lab, [snapshotId, '--json']);
  assert.equal(shown.code, 0, shown.stderr);
  const archive = recordsOf(shown)[0]?.['archive'] as ShownArchive;
  assert.equal(archive.manifest?.volume, volumeId);
  assert.equal(archive.manifest?.tags['Name'], 'web\\x1b[31m');
  assert.deepEqual(
    archive.objects.map(({ partition, layout, filesystem, retrieval, hasIndex }) => [
      partition,
      layout,
      filesystem,
      retrieval,
      hasIndex,
    ]),
    [
      [1, 'tar', 'ext4', 'needed', true],
      [2, 'image', null, 'needed', true],
      [3, 'tar', 'ext4', 'needed', true],
    ],
  );
  assert.match(archive.objects[0]?.uuid ?? '', /^[0-9a-f-]{36}$/);
  const text = await runList(lab, [await keyEnding(lab, '.3.tar.lz4')]);
  assert.equal(text.code, 0, text.stderr);
  assert.match(
    text.stdout,
    /partition 1 +ext4 \S+: tar\.lz4, .* as .*, DEEP_ARCHIVE \(must be thawed\), files can be listed/,
  );

  const all = await filesOf(lab, [snapshotId, '--files', '--partition', '1']);
  assert.ok(pathsOf(all).includes('etc/nginx/sites/.hidden.conf') && pathsOf(all).includes('lost+found'));
  const hostile = all.find(({ path }) => path.startsWith('etc/evil'));
  assert.equal(hostile?.path, 'etc/evil\\x1b[2J\\x0a-rw \\xe2\\x80\\xaecod.exe \\\\ \\xff');
  assert.deepEqual(Buffer.from(hostile?.pathBase64 ?? '', 'base64'), Buffer.concat([Buffer.from('etc/'), HOSTILE]));
  const conf = all.find(({ path }) => path === 'etc/nginx/nginx.conf');
  assert.deepEqual([conf?.type, conf?.mode, conf?.size, conf?.pathBase64], ['file', 0o640, 6, null]);
  const inside = await filesOf(lab, [snapshotId, '--path', '/etc/nginx/', '--partition', '1']);
  assert.deepEqual(pathsOf(inside), ['etc/nginx/nginx.conf', 'etc/nginx/sites']);
  const below = await filesOf(lab, [snapshotId, '--path', 'etc/nginx', '--files']);
  assert.deepEqual(pathsOf(below), [
    'etc/nginx',
    'etc/nginx/nginx.conf',
    'etc/nginx/sites',
    'etc/nginx/sites/.hidden.conf',
  ]);
  assert.deepEqual(pathsOf(await filesOf(lab, [snapshotId, '--path', '/', '--partition', '3'])), [
    'a.conf',
    'lost+found',
  ]);
  assert.deepEqual(pathsOf(await filesOf(lab, [snapshotId, '--path', 'link'])), ['link']);
  await filesOf(lab, [snapshotId, '--path', 'nowhere'], 10);
  const withoutZstd = await runList(lab, [snapshotId, '--path', 'etc/nginx'], { PATH: pathWithout(lab, 'zstd') });
  assert.equal(withoutZstd.code, 0, `an index is read without a program: ${withoutZstd.stderr}`);

  const lines = await runList(lab, [snapshotId, '--path', 'etc', '--partition', '1']);
  assert.match(lines.stdout, /^-rw-r----- |^drwx/m);
  assert.match(lines.stdout, /^-rw-r--r-- 0:0 +4 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ 1:\/etc\/größe\.conf$/m);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the output must not contain it
  assert.doesNotMatch(lines.stdout, /\x1b|\u202e/);
  assert.equal(lines.stdout.split('\n').filter((line) => line.startsWith('-rw')).length, 2, 'a name forges no line');
  const calls = await lab.control.calls();
  assert.ok(!calls.some(({ operation }) => operation === 'RestoreObject'));
});

test('--find searches several archives; unsearchable ones are reported and skipped', async (t) => {
  const [GNUPGHOME, empty] = [await gpgHome(t), await gpgHome(t)];
  await addKey(GNUPGHOME, 'ops@example.com');
  const lab = await labForTest(t, { pageSize: 3 });
  const one = await addSnapshotOf(lab, DISK, { tags: { 'snap-to-s3': 'migrate', Team: 'red' } });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const two = await addSnapshotOf(lab, DISK, { tags: { 'snap-to-s3': 'migrate', Team: 'blue' } });
  assert.equal(
    (await runMigrate(lab, ['--all', '--gpg-recipient', 'ops@example.com'], { env: { GNUPGHOME } })).code,
    0,
  );
  const old = 'vol-0123456789abcdef0/2017-06-30T22:00:00+00:00 snap-0123456789abcdef0 - old.tar.lz4';
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: old, Body: 'anything' }));

  const locked = await runList(lab, ['--find', '*.conf', '--json'], { GNUPGHOME: empty });
  assert.equal(locked.code, 3, locked.stdout + locked.stderr);
  const told = recordsOf(locked).filter(({ code }) => code === 'files.not-listed');
  const reasons = new Set(
    told.map(({ snapshot, reason, error }) => `${snapshot} ${(error as { code?: string })?.code ?? reason}`),
  );
  assert.ok(reasons.has(`${two.snapshotId} GPG_KEY`), JSON.stringify([...reasons]));
  assert.ok([...reasons].some((reason) => /snap-0123456789abcdef0 .*version 0/.test(reason)));
  assert.ok([...reasons].some((reason) => /it is an image/.test(reason)));
  const found = recordsOf(locked).flatMap(({ file }) => (file ? [file as ListedFile] : []));
  assert.deepEqual(new Set(found.map(({ snapshot }) => snapshot)), new Set([one.snapshotId]));
  assert.deepEqual(pathsOf(found), [
    'a.conf',
    'etc/größe.conf',
    'etc/nginx/nginx.conf',
    'etc/nginx/sites/.hidden.conf',
  ]);

  const open = await runList(lab, ['--find', 'etc/*.conf', '/etc/**/.hid*', '--json'], { GNUPGHOME });
  assert.equal(open.code, 0, open.stdout + open.stderr);
  const both = recordsOf(open).flatMap(({ file }) => (file ? [file as ListedFile] : []));
  assert.deepEqual(pathsOf(both), [
    'etc/größe.conf',
    'etc/größe.conf',
    'etc/nginx/sites/.hidden.conf',
    'etc/nginx/sites/.hidden.conf',
  ]);
  const text = await runList(lab, ['--find', 'nginx.conf', '--tag', 'Team=red']);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, new RegExp(`^${one.snapshotId} -rw-r-----.* 1:/etc/nginx/nginx.conf$`, 'm'));
  assert.match(text.stderr, /list: 1 file in 1 archive/);
  assert.deepEqual(await filesOf(lab, ['--find', '*.none', '--volumes', one.volumeId], 10), []);

  const index = (await keysIn(lab)).find((key) => key.includes(one.snapshotId) && key.endsWith('.1.index.zst')) ?? '';
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: index, Body: 'no index' }));
  assert.deepEqual(pathsOf(await filesOf(lab, [one.snapshotId, '--find', '*.conf'], 12)), ['a.conf']);
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: index }));
  assert.deepEqual(pathsOf(await filesOf(lab, [one.snapshotId, '--find', '*.conf'], 12)), ['a.conf']);
});

test('--tag selects archives by the tags of their snapshots; conflicting flags are refused', async (t) => {
  const lab = await labForTest(t);
  const tagged = await addSnapshotOf(lab, undefined, {
    tags: { 'snap-to-s3': 'migrate', Team: 'red', Name: 'a=b' },
  });
  await addSnapshotOf(lab);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const listed = async (argv: string[], code = 0) => {
    const done = await runList(lab, ['--json', ...argv]);
    assert.equal(done.code, code, done.stdout + done.stderr);
    return recordsOf(done).flatMap(({ archive }) => (archive ? [(archive as { snapshot: string }).snapshot] : []));
  };
  assert.deepEqual(await listed(['--tag', 'Team']), [tagged.snapshotId]);
  assert.deepEqual(await listed(['--tag', 'Team=red', 'Name=a=b']), [tagged.snapshotId]);
  assert.deepEqual(await listed(['--tag', 'Team=blue'], 10), []);
  const manifest = (await keysIn(lab)).find((key) => key.includes(tagged.snapshotId) && key.endsWith('.manifest.json'));
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: manifest, Body: '{"format":99}' }));
  assert.deepEqual(await listed(['--tag', 'Team'], 3), []);
  for (const argv of [
    ['--files'],
    ['--path', 'etc'],
    ['holiday.jpg'],
    ['--path', '../x', '--find', '*'],
    [tagged.snapshotId, '--tag', 'a'],
  ]) {
    assert.equal((await runList(lab, argv)).code, 2, argv.join(' '));
  }
  assert.equal((await runList(lab, ['snap-0123456789abcdef0'])).code, 10);
});

const OLD = 'vol-0123456789abcdef0/2017-06-30T22:00:00-04:00 snap-0123456789abcdef0 - a disk';

test('--tag selects archives of version 0 by the tags of their objects, which are read only for that', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': 'migrate', Team: 'red' } });
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const old = { Bucket: BUCKET, Body: 'anything', Tagging: 'Team=red&R_D=Gr__e%20__' };
  for (const Key of [`${OLD}.p1.tar.lz4`, `${OLD}.p2.tar.lz4`])
    await lab.s3.send(new PutObjectCommand({ ...old, Key }));
  const bare = 'vol-0123456789abcdef1/2018-06-30T22:00:00+00:00 snap-0123456789abcdef1.img.zstd';
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: bare, Body: 'anything' }));
  const index = 'vol-0123456789abcdef2/2018-06-30T22:00:00+00:00 snap-0123456789abcdef2.index.zst';
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: index, Body: 'anything' }));
  const listed = async (argv: string[], code = 0) => {
    await lab.control.clearCalls();
    const done = await runList(lab, ['--json', ...argv]);
    assert.equal(done.code, code, done.stdout + done.stderr);
    const asked = (await lab.control.calls()).flatMap(({ operation, details }) =>
      operation === 'GetObjectTagging' ? [details['key']] : [],
    );
    const found = recordsOf(done).flatMap(({ archive }) =>
      archive ? [(archive as { snapshot: string }).snapshot] : [],
    );
    return { found: found.sort(), asked: asked.sort() };
  };
  const asked = [`${OLD}.p1.tar.lz4`, bare];
  const ofOld = ['snap-0123456789abcdef0'];
  assert.deepEqual(await listed(['--tag', 'Team=red']), { found: [...ofOld, snapshotId].sort(), asked });
  assert.deepEqual(await listed(['--tag', 'R&D=Größe &@']), { found: ofOld, asked }, 'as version 0 wrote it');
  assert.deepEqual(await listed(['--tag', 'R&D=Größe'], 10), { found: [], asked });
  assert.deepEqual((await listed([])).asked, []);
  const found = await runList(lab, ['--find', '*', '--tag', 'R_D', '--json']);
  assert.match(found.stdout, /"files.not-listed".*version 0/);
  const action = { kind: 'error', code: 'NotImplemented', status: 501 } as const;
  await lab.control.script({ service: 's3', operation: 'GetObjectTagging', times: 2, action });
  assert.deepEqual((await listed(['--tag', 'Team=red'])).found, [snapshotId], 'a store without tags');
});

test('a full directory for temporary files is named', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab, DISK);
  assert.equal((await runMigrate(lab, ['--all'])).code, 0);
  const TMPDIR = join(lab.directory, 'full');
  mkdirSync(TMPDIR);
  await run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', TMPDIR]);
  try {
    writeFileSync(join(TMPDIR, 'everything'), Buffer.alloc(64 * 1024));
    const listed = await runList(lab, [snapshotId, '--files', '--partition', '1'], { TMPDIR });
    assert.equal(listed.code, 1, listed.stdout + listed.stderr);
    assert.match(listed.stderr, /index vol-\S+ snap-\S+ cannot be kept in a temporary file: ENOSPC/);
    assert.match(listed.stderr, /set TMPDIR to a directory with /);
    assert.deepEqual(readdirSync(TMPDIR), ['everything']);
  } finally {
    await run(['umount', TMPDIR]);
  }
});
