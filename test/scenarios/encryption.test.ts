/** gpg, as users have it: real keyrings, real trust. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withMounted } from '../../lab/disks/inspect.ts';
import { extractTar, keyEnding, keysIn, readManifest } from '../support/archives.ts';
import { compareTrees } from '../support/compare-trees.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { addKey, gpgHome, importPublicKey, signKey } from '../support/gpg.ts';
import { labForTest, runMigrate, runProgram } from '../support/lab.ts';

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

/** Nothing that the objects' own metadata would not show can be read without a key; with one, all of it can. */
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
  await addKey(mine, 'late@example.com', 'seconds=1');
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
