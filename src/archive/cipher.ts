/** Encryption by the user's own gpg. */
import type { Cipher } from './key.ts';

export interface Encryption {
  /** Key ids, fingerprints or addresses, at least one. Each of them can decrypt the archive. */
  recipients: readonly string[];
}

/**
 * The command that encrypts standard input to standard output.
 *
 * `--compress-level 0` since the stream is compressed already: compressing again is ten times slower. Keys must be
 * valid in gpg's own eyes (`--batch` makes it refuse others), which is checked before anything is created.
 */
export function encryptCommand(encryption: Encryption): string[] {
  const recipients = encryption.recipients.flatMap((recipient) => ['--recipient', recipient]);
  return [
    'gpg',
    '--batch',
    '--no-tty',
    '--quiet',
    '--compress-level',
    '0',
    '--output',
    '-',
    ...recipients,
    '--encrypt',
  ];
}

/**
 * The command that decrypts standard input to standard output, by the keyring and agent of this user.
 * @param sessionKeyDescriptor where gpg reads the session key, instead of asking for a private key.
 */
export const decryptCommand = (sessionKeyDescriptor: number | null): string[] => [
  'gpg',
  '--batch',
  '--no-tty',
  '--quiet',
  ...(sessionKeyDescriptor === null ? [] : ['--override-session-key-fd', String(sessionKeyDescriptor)]),
  '--output',
  '-',
  '--decrypt',
];

export const cipherOf = (encryption: Encryption | null): Cipher => (encryption === null ? 'none' : 'gpg');
