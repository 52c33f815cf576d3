/** Encryption with the gpg of the user. */
import { NO_USER_OPTIONS } from '../lib/gpg-configuration.ts';
import type { Cipher } from './key.ts';

export interface Encryption {
  /** Key ids, fingerprints or addresses; at least one. Each of these keys can decrypt the archive. */
  recipients: readonly string[];
}

/**
 * Options for a binary message to the named recipients only. They override /etc/gnupg/gpg.conf, which gpg always reads.
 * `lengthProblem` and `isMessageStart` check the result.
 */
const PLAIN_MESSAGE = [
  '--no-textmode',
  '--no-armor',
  '--no-encrypt-to',
  '--status-file',
  '/dev/null',
  // The stream is compressed already. Compressing it again is ten times slower.
  '--compress-algo',
  'none',
];

/**
 * Returns the command that encrypts standard input to standard output. With `--batch`, gpg refuses keys that it does
 * not consider valid; this is checked before anything is created.
 */
export function encryptCommand(encryption: Encryption): string[] {
  const recipients = encryption.recipients.flatMap((recipient) => ['--recipient', recipient]);
  const options = ['--batch', '--no-tty', '--quiet', ...NO_USER_OPTIONS, ...PLAIN_MESSAGE];
  return ['gpg', ...options, '--output', '-', ...recipients, '--encrypt'];
}

/**
 * Overhead of a message: one byte per 8 KiB for each of two nested packets, a few hundred bytes per recipient, and
 * headers and a checksum. GnuPG 2.2.40 adds 1,186 bytes to 3,000,000. The limits are twice that, plus room for large
 * keys.
 */
const MAX_OVERHEAD = { share: 1 / 2048, once: 4096, perRecipient: 4096 };

/**
 * Checks the length of an encrypted stream. Text mode adds one byte in 256, armor a third, and signatures and
 * compression change the length, too.
 * @returns a message; `null` if the length is plausible.
 */
export function lengthProblem(plainBytes: number, encryptedBytes: number, { recipients }: Encryption): string | null {
  const { share, once, perRecipient } = MAX_OVERHEAD;
  const added = encryptedBytes - plainBytes;
  if (added > 0 && added <= plainBytes * share + once + recipients.length * perRecipient) return null;
  return `gpg wrote ${encryptedBytes} bytes for ${plainBytes} bytes of input, so it did more than encrypt them`;
}

/**
 * Returns the command that decrypts standard input to standard output with the keyring and agent of this user.
 * @param options the result of `decryptionOptions`.
 * @param sessionKeyDescriptor descriptor from which gpg reads the session key instead of using a private key.
 */
export const decryptCommand = (options: readonly string[], sessionKeyDescriptor: number | null): string[] => [
  'gpg',
  '--batch',
  '--no-tty',
  ...options,
  // These override /etc/gnupg/gpg.conf and keep status lines and log messages out of the output. `culpritOf` reads them;
  // with --quiet, gpg would not write which keys failed.
  '--status-fd',
  '2',
  '--logger-fd',
  '2',
  ...(sessionKeyDescriptor === null ? [] : ['--override-session-key-fd', String(sessionKeyDescriptor)]),
  '--output',
  '-',
  '--decrypt',
];

export const cipherOf = (encryption: Encryption | null): Cipher => (encryption === null ? 'none' : 'gpg');

/** Packet tags: RFC 4880, section 4.3. 20 is the authenticated encryption of GnuPG 2.3 and later. */
const [SESSION_KEY, INTEGRITY_PROTECTED, AUTHENTICATED] = [1, 18, 20];

/**
 * Whether bytes start like a binary OpenPGP message: with session keys for its recipients, followed by data with
 * integrity protection. Armor and text do not.
 * @param start the first bytes. If they end within the session keys, these are sufficient.
 */
export function isMessageStart(start: Uint8Array): boolean {
  let at = 0;
  for (let packet = packetAt(start, at); packet?.tag === SESSION_KEY; packet = packetAt(start, at)) {
    at = packet.end;
    if (at >= start.length) return true;
  }
  const tag = packetAt(start, at)?.tag;
  return at > 0 && (tag === INTEGRITY_PROTECTED || tag === AUTHENTICATED);
}

/**
 * Returns the ids (16 hexadecimal digits) of the keys that a message is encrypted for, without hidden ones. Source: RFC
 * 4880, section 5.1: a version, followed by eight bytes of key id.
 */
export function recipientsOf(message: Uint8Array): string[] {
  const ids: string[] = [];
  let at = 0;
  for (let packet = packetAt(message, at); packet?.tag === SESSION_KEY; packet = packetAt(message, at)) {
    const id = Buffer.from(message.subarray(packet.body + 1, packet.body + 9))
      .toString('hex')
      .toUpperCase();
    if (!/^0*$/.test(id)) ids.push(id);
    at = packet.end;
  }
  return ids;
}

/** @returns `end: Infinity` if the header does not contain the length. */
function packetAt(bytes: Uint8Array, at: number): { tag: number; body: number; end: number } | null {
  const [head = 0, first = 0, second = 0] = bytes.subarray(at);
  if ((head & 0x80) === 0) return null;
  if ((head & 0x40) === 0) {
    const tag = (head >> 2) & 0x0f;
    const lengthBytes = head & 0x03;
    if (lengthBytes === 0) return { tag, body: at + 2, end: at + 2 + first };
    if (lengthBytes === 1) return { tag, body: at + 3, end: at + 3 + first * 256 + second };
    return { tag, body: at + 1, end: Number.POSITIVE_INFINITY };
  }
  const tag = head & 0x3f;
  if (first < 192) return { tag, body: at + 2, end: at + 2 + first };
  if (first < 224) return { tag, body: at + 3, end: at + 3 + (first - 192) * 256 + second + 192 };
  return { tag, body: at + 1, end: Number.POSITIVE_INFINITY };
}
