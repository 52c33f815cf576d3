/** Are the recipients' keys fit for encryption? Asked of gpg before anything is created. */
import { SnapError } from '../errors.ts';
import {
  configurationProblem,
  decryptionOptions,
  invalidConfiguration,
  NO_USER_OPTIONS,
} from '../lib/gpg-configuration.ts';
import { lastLine } from '../transfer/outcome.ts';
import { environmentOfTools } from '../transfer/process.ts';
import { runTool, type ToolResult } from '../transfer/run-tool.ts';

/**
 * Validities that gpg encrypts to without asking: marginally (for a second opinion), fully and ultimately valid.
 * Source: DETAILS of GnuPG's documentation, field 2 of `--with-colons`.
 */
const VALID = new Set(['f', 'u', 'm']);

const COMPLAINTS: Record<string, string> = {
  e: 'has expired',
  r: 'has been revoked',
  d: 'is disabled',
  i: 'is invalid',
  n: 'is not to be trusted',
};

/** @throws SnapError `GPG_KEY` naming the first recipient that gpg would refuse. */
export async function checkRecipients(recipients: readonly string[], signal: AbortSignal): Promise<void> {
  for (const recipient of recipients) await checkRecipient(recipient, signal);
}

/**
 * Can any of the recipients' archives be read here?
 * @throws SnapError `GPG_KEY`
 */
export async function checkSecretKeys(recipients: readonly string[], signal: AbortSignal): Promise<void> {
  for (const recipient of recipients) {
    const argv = [
      'gpg',
      '--batch',
      '--no-tty',
      ...decryptionOptions(environmentOfTools()),
      '--list-secret-keys',
      '--',
      recipient,
    ];
    const listing = await runTool(argv, { signal, allowedExitCodes: [0, 1, 2] });
    if (listing.exitCode === 0) return;
    assertGpgWorked(listing);
  }
  throw new SnapError('GPG_KEY', 'no recipient has a private key here, so that the archive could not be validated', {
    hint: 'leave --validate out and validate where the key is, or import the private key of a recipient',
  });
}

/**
 * @returns when the key expires; `null`: never.
 * @throws SnapError `GPG_KEY` saying why gpg would refuse it.
 */
export async function checkRecipient(recipient: string, signal: AbortSignal): Promise<Date | null> {
  const { keys, listing } = await listKeys(recipient, signal);
  const primary = keys.filter(([record]) => record === 'pub');
  const [key] = primary;
  if (!key) {
    assertGpgWorked(listing);
    throw refused(recipient, 'is not in the keyring', 'import the public key: gpg --import FILE');
  }
  if (primary.length > 1) throw refused(recipient, 'names several keys', 'give the fingerprint of one of them');
  const [, validity = '', , , , , expires = '', , , , , capabilities = ''] = key;
  const complaint = COMPLAINTS[validity];
  if (complaint) throw refused(recipient, complaint, 'choose another recipient, or have the key renewed');
  if (!VALID.has(validity)) {
    throw refused(
      recipient,
      'is not trusted by this keyring',
      `check its fingerprint, then: gpg --lsign-key ${recipient}`,
    );
  }
  if (!capabilities.includes('E')) throw refused(recipient, 'cannot encrypt', 'choose a key with an encryption subkey');
  return expires === '' ? null : new Date(Number(expires) * 1000);
}

/** Records of `--with-colons`, each as its fields. */
async function listKeys(recipient: string, signal: AbortSignal): Promise<{ keys: string[][]; listing: ToolResult }> {
  const argv = ['gpg', '--batch', '--no-tty', ...NO_USER_OPTIONS, '--with-colons', '--list-keys', '--', recipient];
  const listing = await runTool(argv, { signal, allowedExitCodes: [0, 1, 2] });
  return { keys: listing.stdout.split('\n').map((line) => line.split(':')), listing };
}

/** The ids, as 16 hexadecimal digits, of the recipient's keys that can encrypt. */
export async function encryptionKeyIds(recipient: string, signal: AbortSignal): Promise<string[]> {
  const { keys } = await listKeys(recipient, signal);
  const canEncrypt = ([record = '', , , , , , , , , , , capabilities = '']: string[]) =>
    ['pub', 'sub'].includes(record) && capabilities.includes('e');
  return keys.filter(canEncrypt).map(([, , , , id = '']) => id);
}

/** A gpg that could not look says nothing about the key. @throws SnapError `GPG_KEY` */
function assertGpgWorked({ exitCode, stderr }: ToolResult): void {
  if (exitCode === 0 || NO_SUCH_KEY.test(stderr)) return;
  const problem = configurationProblem(stderr);
  if (problem !== null) throw invalidConfiguration(problem);
  throw new SnapError('GPG_KEY', `gpg cannot list keys${lastLine(stderr)}`, {
    hint: 'run gpg --list-keys as the same user; keys can be checked once that works',
  });
}

const NO_SUCH_KEY = /^gpg: error reading key: (?:No (?:public|secret) key|Not found)$/m;

const refused = (recipient: string, complaint: string, hint: string): SnapError =>
  new SnapError('GPG_KEY', `the gpg key of ${recipient} ${complaint}`, { hint });
