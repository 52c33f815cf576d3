/** Keyrings for tests, in short directories, because the agent of gpg creates a socket there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { removeDirectory } from './remove-directory.ts';

export async function gpgHome(t: TestContext): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'snap-to-s3-gpg-'));
  t.after(async () => {
    await forgetPassphrases(home);
    removeDirectory(home);
  });
  return home;
}

const WITHOUT_DIALOG = ['--batch', '--quiet', '--pinentry-mode', 'loopback'];

const gpg = (home: string, ...argv: string[]): Promise<string> =>
  run(['gpg', '--homedir', home, ...WITHOUT_DIALOG, '--passphrase', '', ...argv]);

/**
 * Adds a key without a passphrase, which is ultimately trusted.
 * @param expires in the form of gpg, e.g. `10d`.
 * @param algorithm in the form of gpg. In GnuPG 2.2, `default` is RSA and `future-default` is Curve 25519.
 */
export async function addKey(home: string, name: string, expires = 'never', algorithm = 'default'): Promise<void> {
  await gpg(home, '--quick-generate-key', name, algorithm, 'default', expires);
}

/** Adds a key that expired years ago. */
export async function addExpiredKey(home: string, name: string): Promise<void> {
  await gpg(home, '--faked-system-time', '20200101T000000', '--quick-generate-key', name, 'default', 'default', '1d');
}

/** Adds a key with a passphrase, which the agent must ask for. */
export async function addLockedKey(home: string, name: string): Promise<void> {
  const command = ['--quick-generate-key', name, 'default', 'default', 'never'];
  await run(['gpg', '--homedir', home, ...WITHOUT_DIALOG, '--passphrase', 'secret', ...command]);
  await forgetPassphrases(home);
}

/** Sets the answer of the dialog that the agent opens; `null` means that it never answers. */
export async function setDialog(home: string, answer: string | null): Promise<void> {
  const program = join(home, 'dialog');
  const pin = answer === null ? '' : `printf '${answer}\\n'`;
  const loop = `while read -r line; do case $line in GETPIN*) ${pin};; *) echo OK;; esac; done`;
  writeFileSync(program, `#!/bin/sh\necho OK\n${loop}\n`, { mode: 0o755 });
  writeFileSync(join(home, 'gpg-agent.conf'), `pinentry-program ${program}\n`);
  await forgetPassphrases(home);
}

const forgetPassphrases = (home: string): Promise<string> => run(['gpgconf', '--homedir', home, '--kill', 'all']);

/** Copies a public key to another keyring, in which it is not signed. */
export async function importPublicKey(from: string, name: string, into: string): Promise<void> {
  const file = join(into, 'public.asc');
  writeFileSync(file, await gpg(from, '--armor', '--export', name));
  await gpg(into, '--import', file);
  rmSync(file);
}

/** Makes an imported key valid, as its user would after checking the fingerprint. */
export async function signKey(home: string, name: string): Promise<void> {
  const listing = await gpg(home, '--with-colons', '--fingerprint', '--list-keys', name);
  const fingerprint = /^fpr:+([0-9A-F]+):/m.exec(listing)?.[1] ?? '';
  await gpg(home, '--yes', '--quick-lsign-key', fingerprint);
}
