/** Checks, before anything is created, whether the keys of the recipients can be used for encryption. */
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
 * Validities with which gpg encrypts without a question: marginal, full and ultimate. Source: DETAILS in the
 * documentation of GnuPG, field 2 of `--with-colons`.
 */
const VALID = new Set(['f', 'u', 'm']);

const COMPLAINTS: Record<string, string> = {
  e: 'has expired',
  r: 'has been revoked',
  d: 'is disabled',
  i: 'is invalid',
  n: 'must not be trusted',
};

/** @throws SnapError `GPG_KEY` for the first recipient that gpg would refuse. */
export async function checkRecipients(recipients: readonly string[], signal: AbortSignal): Promise<void> {
  for (const recipient of recipients) await checkRecipient(recipient, signal);
}

/**
 * Checks that the private key of at least one recipient is available.
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
  throw new SnapError(
    'GPG_KEY',
    'none of the recipients has a private key here, so the archive could not be validated',
    {
      hint: 'run without --validate and validate where the private key is, or import the private key of a recipient',
    },
  );
}

/**
 * Checks the key of a recipient.
 * @returns when the key expires; `null` if it does not expire.
 * @throws SnapError `GPG_KEY` with the reason why gpg would refuse the key.
 */
export async function checkRecipient(recipient: string, signal: AbortSignal): Promise<Date | null> {
  const { keys, listing } = await listKeys(recipient, signal);
  const primary = keys.filter(([record]) => record === 'pub');
  const [key] = primary;
  if (!key) {
    assertGpgWorked(listing);
    throw keyError(recipient, 'is not in the keyring', 'import the public key: gpg --import FILE');
  }
  if (primary.length > 1)
    throw keyError(recipient, 'is ambiguous', 'several keys match: give the fingerprint of one of them');
  const [, validity = '', , , , , expires = '', , , , , capabilities = ''] = key;
  const complaint = COMPLAINTS[validity];
  if (complaint) throw keyError(recipient, complaint, 'choose another recipient, or renew the key');
  if (!VALID.has(validity)) {
    throw keyError(
      recipient,
      'is not trusted by this keyring',
      `check its fingerprint, then: gpg --lsign-key ${recipient}`,
    );
  }
  if (!capabilities.includes('E'))
    throw keyError(recipient, 'cannot encrypt', 'choose a key with an encryption subkey');
  return expires === '' ? null : new Date(Number(expires) * 1000);
}

/** Returns the records of `--with-colons`, split into fields. */
async function listKeys(recipient: string, signal: AbortSignal): Promise<{ keys: string[][]; listing: ToolResult }> {
  const argv = ['gpg', '--batch', '--no-tty', ...NO_USER_OPTIONS, '--with-colons', '--list-keys', '--', recipient];
  const listing = await runTool(argv, { signal, allowedExitCodes: [0, 1, 2] });
  return { keys: listing.stdout.split('\n').map((line) => line.split(':')), listing };
}

/** Returns the ids (16 hexadecimal digits) of the recipient's keys that can encrypt. */
export async function encryptionKeyIds(recipient: string, signal: AbortSignal): Promise<string[]> {
  const { keys } = await listKeys(recipient, signal);
  const canEncrypt = ([record = '', , , , , , , , , , , capabilities = '']: string[]) =>
    ['pub', 'sub'].includes(record) && capabilities.includes('e');
  return keys.filter(canEncrypt).map(([, , , , id = '']) => id);
}

/** Distinguishes a missing key from a failure of gpg itself. @throws SnapError `GPG_KEY` if gpg failed */
function assertGpgWorked({ exitCode, stderr }: ToolResult): void {
  if (exitCode === 0 || NO_SUCH_KEY.test(stderr)) return;
  const problem = configurationProblem(stderr);
  if (problem !== null) throw invalidConfiguration(problem);
  throw new SnapError('GPG_KEY', `gpg cannot list keys${lastLine(stderr)}`, {
    hint: 'make gpg --list-keys work for this user, then run the same command again',
  });
}

const NO_SUCH_KEY = /^gpg: error reading key: (?:No (?:public|secret) key|Not found)$/m;

const keyError = (recipient: string, complaint: string, hint: string): SnapError =>
  new SnapError('GPG_KEY', `the gpg key of ${recipient} ${complaint}`, { hint });
