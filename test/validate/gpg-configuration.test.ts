/** Encrypted archives are read by a user whose gpg.conf has settings that change what gpg does. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { addSnapshotOf } from '../support/disks.ts';
import { addLockedKey, gpgHome } from '../support/gpg.ts';
import { BUCKET, labForTest, runCli, runMigrate, type TestLab } from '../support/lab.ts';

/**
 * Settings that the program ignores. With `list-only`, gpg writes nothing and exits with 0. With `unwrap`, it writes
 * another message.
 */
const KEPT_OUT = [
  'no-such-option',
  'list-only',
  'unwrap',
  'status-fd 1',
  'decrypt-files',
  'cipher-algo NOSUCH',
  'disable-cipher-algo AES256',
  'max-output 100',
  'passphrase-fd 0',
];

/** Settings that decryption needs, with values that gpg cannot use. */
const REFUSED = [
  { setting: 'pinentry-mode nosuch', says: /invalid pinentry mode 'nosuch'/ },
  { setting: 'passphrase-file /nonexistent', says: /can't open '\/nonexistent': No such file/ },
];

async function encrypted(t: TestContext) {
  const lab = await labForTest(t);
  const home = await gpgHome(t);
  await addLockedKey(home, 'ops@example.com');
  const { snapshotId } = await addSnapshotOf(lab);
  const env = { GNUPGHOME: home };
  const done = await runMigrate(lab, ['--all', '--gpg-recipient', 'ops@example.com'], { env });
  assert.equal(done.code, 0, done.stderr);
  const passphrase = join(home, 'passphrase');
  writeFileSync(passphrase, 'secret\n');
  return { lab, home, env, snapshotId, unlock: `pinentry-mode loopback\npassphrase-file ${passphrase}\n` };
}

function commands({ directory }: TestLab, snapshotId: string) {
  const inBucket = ['--bucket', BUCKET];
  const target = join(directory, 'restored');
  return {
    target,
    restore: ['restore', snapshotId, '--to-dir', target, ...inBucket],
    validate: ['validate', '--all', '--mount-point', join(directory, 'mnt'), ...inBucket],
    list: ['list', snapshotId, ...inBucket],
  };
}

test('settings that change what gpg does have no effect; those that locate keys and passphrases do', async (t) => {
  const { lab, home, env, snapshotId, unlock } = await encrypted(t);
  const { target, restore, validate, list } = commands(lab, snapshotId);
  for (const setting of [KEPT_OUT.join('\n'), 'list-only', 'unwrap']) {
    writeFileSync(join(home, 'gpg.conf'), `${setting}\n${unlock}`);
    const restored = await runCli(lab.env, restore, { env });
    assert.equal(restored.code, 0, `${setting}: ${restored.stderr}`);
    assert.match(readFileSync(join(target, 'etc', 'hostname'), 'utf8'), /\w/);
    rmSync(target, { recursive: true });
  }
  writeFileSync(join(home, 'gpg.conf'), `${KEPT_OUT.join('\n')}\n${unlock}`);
  const validated = await runCli(lab.env, validate, { env });
  assert.equal(validated.code, 0, validated.stderr);
  const listed = await runCli(lab.env, list, { env });
  assert.equal(listed.code, 0, listed.stderr);
  assert.doesNotMatch(listed.stdout, /cannot be decrypted|gpg exited/);
});

test('an unusable setting is named, and neither the key nor the archive is reported as wrong', async (t) => {
  const { lab, home, env, snapshotId } = await encrypted(t);
  const { restore, validate, list } = commands(lab, snapshotId);
  for (const { setting, says } of REFUSED) {
    writeFileSync(join(home, 'gpg.conf'), `${setting}\n`);
    for (const argv of [restore, validate]) {
      const done = await runCli(lab.env, argv, { env });
      assert.equal(done.code, 2, `${argv[0]}: ${done.stderr}`);
      assert.match(done.stderr, says);
      assert.match(done.stderr, /gpg cannot use its configuration.*\n.*gpg\.conf/);
      assert.doesNotMatch(done.stderr, /another copy|private key/);
    }
    const listed = await runCli(lab.env, list, { env });
    assert.match(listed.stdout, says);
  }
});
