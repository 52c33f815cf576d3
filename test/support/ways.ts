/** The ways in which an archive can be created. Each of them must be restorable. */
import type { TestContext } from 'node:test';
import { addKey, gpgHome } from './gpg.ts';

export interface Way {
  source: string;
  codec: string;
  cipher: string;
}

/** The order lets `oneIn(5, ...)` select both sources and both ciphers. */
export const WAYS: readonly Way[] = ['volume', 'direct'].flatMap((source) =>
  ['lz4', 'zstd'].flatMap((codec) => ['none', 'gpg'].map((cipher) => ({ source, codec, cipher }))),
);

export const nameOf = ({ source, codec, cipher }: Way): string => `${source}, ${codec}, ${cipher}`;

/** Returns the suffix of the object's key. */
export const suffixOf = ({ codec, cipher }: Way): string =>
  `${codec === 'zstd' ? 'zst' : codec}${cipher === 'none' ? '' : `.${cipher}`}`;

export interface WayFlags {
  /** The flags of `migrate`. */
  flags: string[];
  /** The environment of programs that write or read the archive. It names the keyring, if there is one. */
  env: Record<string, string>;
}

export async function flagsOf(t: TestContext, { source, codec, cipher }: Way): Promise<WayFlags> {
  const flags = ['--source', source, '--compression', codec];
  if (cipher === 'none') return { flags, env: {} };
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, 'ops@example.com');
  return { flags: [...flags, '--gpg-recipient', 'ops@example.com'], env };
}
