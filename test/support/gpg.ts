/** Keyrings for tests, in short directories: gpg's agent wants a socket there. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { run } from '../../lab/core/run.ts';

export async function gpgHome(t: TestContext): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'snap-to-s3-gpg-'));
  t.after(async () => {
    await run(['gpgconf', '--homedir', home, '--kill', 'all']);
    rmSync(home, { recursive: true, force: true });
  });
  return home;
}

const gpg = (home: string, ...argv: string[]): Promise<string> =>
  run(['gpg', '--homedir', home, '--batch', '--quiet', '--pinentry-mode', 'loopback', '--passphrase', '', ...argv]);

/** A key without a passphrase, ultimately trusted. @param expires as gpg takes it, e.g. `seconds=1`. */
export async function addKey(home: string, name: string, expires = 'never'): Promise<void> {
  await gpg(home, '--quick-generate-key', name, 'default', 'default', expires);
}

/** The public key of one keyring, in another. Nobody has signed it there. */
export async function importPublicKey(from: string, name: string, into: string): Promise<void> {
  const { writeFileSync } = await import('node:fs');
  const file = join(into, 'public.asc');
  writeFileSync(file, await gpg(from, '--armor', '--export', name));
  await gpg(into, '--import', file);
  rmSync(file);
}

/** Makes an imported key valid, as its new owner would after checking the fingerprint. */
export async function signKey(home: string, name: string): Promise<void> {
  const listing = await gpg(home, '--with-colons', '--fingerprint', '--list-keys', name);
  const fingerprint = /^fpr:+([0-9A-F]+):/m.exec(listing)?.[1] ?? '';
  await gpg(home, '--yes', '--quick-lsign-key', fingerprint);
}
