/** The ways in which an archive can be created. Each of them must be restorable. */
import type { TestContext } from 'node:test';
import { addKey, gpgHome } from './gpg.ts';

export interface Way {
  source: string;
  codec: string;
  cipher: string;
}

/** With `oneIn(5, ...)`, both sources and both ciphers are tried. */
export const WAYS: readonly Way[] = ['volume', 'direct'].flatMap((source) =>
  ['lz4', 'zstd'].flatMap((codec) => ['none', 'gpg'].map((cipher) => ({ source, codec, cipher }))),
);

export const nameOf = ({ source, codec, cipher }: Way): string => `${source}, ${codec}, ${cipher}`;

/** Of the object's key. */
export const suffixOf = ({ codec, cipher }: Way): string =>
  `${codec === 'zstd' ? 'zst' : codec}${cipher === 'none' ? '' : `.${cipher}`}`;

export interface WayFlags {
  /** Of `migrate`. */
  flags: string[];
  /** For whoever writes or reads the archive: the keyring, where there is one. */
  env: Record<string, string>;
}

export async function flagsOf(t: TestContext, { source, codec, cipher }: Way): Promise<WayFlags> {
  const flags = ['--source', source, '--compression', codec];
  if (cipher === 'none') return { flags, env: {} };
  const env = { GNUPGHOME: await gpgHome(t) };
  await addKey(env.GNUPGHOME, 'ops@example.com');
  return { flags: [...flags, '--gpg-recipient', 'ops@example.com'], env };
}
