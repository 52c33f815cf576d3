/** Encryption with real gpg keyrings and real trust. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withMounted } from '../../lab/disks/inspect.ts';
import { awsServices } from '../../src/aws-services.ts';
import { type ShownArchive, type SnapEvent, silentHost } from '../../src/events.ts';
import { showArchive } from '../../src/operations/list/show-archive.ts';
import { extractTar, keyEnding, keysIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf, fillPlainly } from '../support/disks.ts';
import { addExpiredKey, addKey, addLockedKey, gpgHome, importPublicKey, setDialog, signKey } from '../support/gpg.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, runProgram, type TestLab } from '../support/lab.ts';
import { replaceObject } from '../support/tamper.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';

test('two recipients: each can restore with gpg, lz4 and tar', async (t) => {
  const lab = await labForTest(t);
  const [mine, theirs] = [await gpgHome(t), await gpgHome(t)];
  await addKey(mine, 'ops@example.com');
  await addKey(theirs, 'boss@example.com');
  await importPublicKey(theirs, 'boss@example.com', mine);
  await signKey(mine, 'boss@example.com');
  const disk = await addSnapshotOf(lab, undefined, { tags: { 'snap-to-s3': 'migrate', secret: 'project x' } });
  const recipients = ['--gpg-recipient', 'ops@example.com', '--gpg-recipient', 'boss@example.com'];
  const done = await runMigrate(lab, ['--all', ...recipients], { env: { GNUPGHOME: mine } });
  assert.equal(done.code, 0, done.stderr);
  const key = await keyEnding(lab, `${disk.snapshotId}.tar.lz4.gpg`);
  for (const home of [mine, theirs]) {
    const restored = await extractTar(lab, key, { GNUPGHOME: home });
    const { list } = await withMounted(disk.image, null, (original) => compareTrees(original, restored));
    assert.deepEqual(list, []);
    await runProgram(['rm', '-rf', restored]);
  }
  await manifestIsSealed(theirs, lab);
});

/** Checks that the manifest hides what the metadata of the objects does not show, and that a key opens all of it. */
async function manifestIsSealed(home: string, lab: Parameters<typeof readManifest>[0]): Promise<void> {
  const manifest = await readManifest(lab);
  assert.deepEqual(
    manifest.objects.flatMap(({ uuid, label }) => [uuid, label]),
    [null, null],
  );
  const input = Buffer.from(manifest.sealed ?? '', 'base64');
  const opened = await runProgram(['gpg', '--homedir', home, '--batch', '--quiet', '--decrypt'], {
    input,
    env: lab.env,
  });
  assert.equal(opened.code, 0, opened.stderr);
  const inside = JSON.parse(opened.stdout) as typeof manifest;
  assert.equal(inside.snapshot.tags['secret'], 'project x');
  assert.match(inside.objects[0]?.uuid ?? '', /^[0-9a-f-]{36}$/);
}

test('keys that gpg would refuse are refused before anything is created', async (t) => {
  const lab = await labForTest(t);
  const [mine, theirs] = [await gpgHome(t), await gpgHome(t)];
  await addKey(theirs, 'stranger@example.com');
  await importPublicKey(theirs, 'stranger@example.com', mine);
  await addExpiredKey(mine, 'late@example.com');
  await addSnapshotOf(lab);
  for (const [recipient, complaint] of [
    ['nobody@example.com', /nobody@example\.com is not in the keyring/],
    ['stranger@example.com', /stranger@example\.com is not trusted by this keyring/],
    ['late@example.com', /late@example\.com has expired/],
  ] as const) {
    const done = await runMigrate(lab, ['--all', '--gpg-recipient', recipient], { env: { GNUPGHOME: mine } });
    assert.equal(done.code, 2, done.stderr);
    assert.match(done.stderr, complaint);
    assert.match(done.stderr, /what to do/);
  }
  assert.deepEqual(await keysIn(lab), []);
  const calls = await lab.control.calls();
  assert.deepEqual(
    calls.filter(({ operation }) => /Create|Put/.test(operation)),
    [],
  );
});

const NAMED_DISK = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 24, label: 'payroll', populate: fillPlainly },
    { content: 'swap' as const, sizeMiB: 2, label: 'pages' },
  ],
};

const look = (lab: TestLab, argv: string[], env: Record<string, string>) =>
  runCli({ ...lab.env, ...env }, ['list', '--bucket', BUCKET, ...argv]);

/** Returns what `list ARCHIVE` shows, and checks that it succeeds. */
async function shownTo(lab: TestLab, snapshotId: string, env: Record<string, string>, passphraseWithin = 60_000) {
  const before = { ...process.env };
  Object.assign(process.env, lab.env, env);
  try {
    const told: ShownArchive[] = [];
    const notify = (event: SnapEvent) => void (event.code === 'archive.shown' && told.push(event.archive));
    const host = { ...silentHost, notify };
    const services = await awsServices({ bucket: BUCKET, storageClass: 'STANDARD' }, host, process.env);
    const settings = { prefix: '', snapshotId, files: null, downloadStreams: 1, passphraseWithin };
    assert.equal(await showArchive(settings, services, new AbortController().signal), 0);
    assert.ok(told[0]);
    return essence(told[0]);
  } finally {
    process.env = before;
  }
}

function essence({ manifest, objects, recorded }: ShownArchive) {
  const { tags = {}, tableId = null, partitions = [], isSealed, whyClosed } = manifest ?? {};
  const [object, swap] = [objects[0], recorded[0]];
  const names = [object?.label, object?.uuid !== null, swap?.label, tableId !== null, 'R&D' in tags];
  return { names, places: partitions.map(({ number, start, bytes }) => [number, start, bytes]), isSealed, whyClosed };
}

const MIB = 2 ** 20;
const OPEN = {
  names: ['payroll', true, 'pages', true, true],
  places: [
    [1, MIB, 24 * MIB],
    [2, 25 * MIB, 2 * MIB],
  ],
  isSealed: true,
  whyClosed: null,
};
const CLOSED = { names: [null, false, null, false, false], places: [], isSealed: true };

test('list ARCHIVE shows the sealed facts with a private key, otherwise the readable ones and the reason', async (t) => {
  const lab = await labForTest(t);
  const [mine, locked, empty] = [await gpgHome(t), await gpgHome(t), await gpgHome(t)];
  await addKey(mine, 'ops@example.com');
  await addLockedKey(locked, 'boss@example.com');
  await importPublicKey(locked, 'boss@example.com', mine);
  await signKey(mine, 'boss@example.com');
  const tags = { 'snap-to-s3': 'migrate', 'R&D': 'project x' };
  const { snapshotId } = await addSnapshotOf(lab, NAMED_DISK, { tags });
  const recipients = ['--gpg-recipient', 'ops@example.com', '--gpg-recipient', 'boss@example.com'];
  const migrated = await runMigrate(lab, ['--all', ...recipients], { env: { GNUPGHOME: mine } });
  assert.equal(migrated.code, 0, migrated.stderr);

  const shown = await look(lab, [snapshotId, '--json'], { GNUPGHOME: mine });
  assert.deepEqual(essence(recordsOf(shown)[0]?.['archive'] as ShownArchive), OPEN);
  const text = (await look(lab, [snapshotId], { GNUPGHOME: mine })).stdout;
  assert.match(text, /^ {2}tags .*R&D=project x/m);
  assert.match(text, /^ {2}disk {9}1\.00 GiB, gpt [0-9A-F-]{36}, sectors/m);
  assert.match(
    text,
    /^ {2}partition 1 {2}ext4 "payroll" \S{36}: tar.lz4.gpg,.*\n.*\n {15}24\.0 MiB at offset 1\.00 MiB, type /m,
  );
  assert.match(text, /^ {2}sealed .* were decrypted for this output$/m);

  const told = await look(lab, [snapshotId], { GNUPGHOME: empty });
  assert.equal(told.code, 0, told.stderr);
  assert.match(told.stdout, /^ {2}tags {9}R_D=project x$/m);
  assert.match(told.stdout, /^ {2}sealed .* were not decrypted: gpg exited 2 \(.*\); use the private key/m);
  assert.equal(told.stderr, '');
  const tagged = await look(lab, ['--tag', 'R&D=project x'], { GNUPGHOME: empty });
  assert.match(tagged.stdout, new RegExp(`^${snapshotId} `), 'as the readable part has it');
  const closed = async (env: Record<string, string>, within?: number) => {
    const { whyClosed, ...rest } = await shownTo(lab, snapshotId, env, within);
    assert.deepEqual(rest, CLOSED);
    return whyClosed ?? '';
  };
  assert.equal(await closed({ GNUPGHOME: empty }), 'gpg exited 2 (gpg: decryption failed: No secret key)');
  assert.equal(await closed({ GNUPGHOME: mine, PATH: '' }), 'gpg is not installed');

  await setDialog(locked, 'D secret\\nOK');
  assert.deepEqual(await shownTo(lab, snapshotId, { GNUPGHOME: locked }), OPEN);
  await setDialog(locked, 'ERR 83886179 cancelled');
  assert.match(await closed({ GNUPGHOME: locked }), /^gpg exited 2/);
  await setDialog(locked, null);
  assert.match(await closed({ GNUPGHOME: locked }, 500), /^gpg timed out/);

  const key = await keyEnding(lab, '.manifest.json');
  const manifest = await readManifest(lab);
  const seal = async (sealed: unknown) => replaceObject(lab, key, Buffer.from(JSON.stringify({ ...manifest, sealed })));
  await seal('bm90aGluZw==');
  assert.match(await closed({ GNUPGHOME: mine }), /its sealed part is damaged/);
  const forged = { format: 1, snapshot: { id: 'snap-\u001b1' } };
  await seal(await encrypted(JSON.stringify(forged), mine));
  assert.equal(await closed({ GNUPGHOME: mine }), `${key}: it describes snap-\\x1b1`);
  await seal(5);
  await assert.rejects(shownTo(lab, snapshotId, { GNUPGHOME: mine }), {
    code: 'MANIFEST',
    message: /sealed content is damaged/,
  });
});

async function encrypted(text: string, home: string): Promise<string> {
  const argv = [
    'gpg',
    '--homedir',
    home,
    '--batch',
    '--quiet',
    '--armor',
    '--recipient',
    'ops@example.com',
    '--encrypt',
  ];
  const { stdout } = await runProgram(argv, { input: text, env: { PATH: process.env['PATH'] ?? '' } });
  return Buffer.from(stdout).toString('base64');
}
