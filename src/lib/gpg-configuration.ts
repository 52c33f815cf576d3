/** How gpg is kept from its configuration files, and what it says of them. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { SnapError } from '../errors.ts';

/**
 * Keeps the user's gpg.conf out: `textmode` in it rewrites line ends of what is encrypted, `dry-run` writes nothing,
 * `status-fd 1` mixes status lines into the message, and no list of such options is complete. Recipients are looked up
 * under the same option, so that the check before a run sees what the run sees. A machine's own /etc/gnupg/gpg.conf is
 * read all the same (seen with GnuPG 2.2.40).
 */
export const NO_USER_OPTIONS = ['--no-options'];

/** Settings that say where keys and passphrases are; nothing that decides what gpg does or writes is among them. */
const KEY_SETTINGS = new Set([
  'keyring',
  'primary-keyring',
  'no-default-keyring',
  'try-secret-key',
  'try-all-secrets',
  'skip-hidden-recipients',
  'no-skip-hidden-recipients',
  'pinentry-mode',
  'passphrase-file',
  'agent-program',
  'no-autostart',
]);

/**
 * Of the user's gpg.conf, what gpg needs to find private keys and their passphrases, as options. The rest is kept out:
 * with `list-only` gpg writes nothing and exits with 0, with `unwrap` it writes another message, `status-fd 1` mixes
 * status lines into the bytes, and commands such as `decrypt-files` conflict with ours.
 * @param env what gpg finds in its environment.
 * @throws SnapError `GPG_KEY` for a machine-wide setting that keeps gpg from decrypting
 */
export function decryptionOptions(env: NodeJS.ProcessEnv): string[] {
  assertNoMachineSettings();
  const home = env['GNUPGHOME'] || join(env['HOME'] || homedir(), '.gnupg');
  const wanted = settingsIn(join(home, 'gpg.conf')).filter(({ name }) => KEY_SETTINGS.has(name));
  const options = wanted.flatMap(({ name, value }) => (value === '' ? [`--${name}`] : [`--${name}`, value]));
  return [...NO_USER_OPTIONS, ...options];
}

/** gpg reads it whatever the options are, and no option undoes these settings. */
const MACHINE_CONFIGURATION = '/etc/gnupg/gpg.conf';

const HARMFUL_SETTINGS = new Set([
  'list-only',
  'unwrap',
  'list-packets',
  'decrypt-files',
  'multifile',
  'verify-files',
  'verify',
  'encrypt',
  'sign',
  'store',
  'dearmor',
  'max-output',
  'passphrase-fd',
  'command-fd',
  'ignore-mdc-error',
  'disable-cipher-algo',
  'override-session-key',
  'no-keyring',
]);

/** @throws SnapError `GPG_KEY` */
export function assertNoMachineSettings(file: string = MACHINE_CONFIGURATION): void {
  const found = settingsIn(file).find(({ name }) => HARMFUL_SETTINGS.has(name));
  if (found) throw invalidConfiguration(`${file}:${found.line}: ${found.name} keeps gpg from decrypting`);
}

interface Setting {
  line: number;
  name: string;
  value: string;
}

/** A setting on each line, with or without its dashes. A file that is not there has none. */
function settingsIn(file: string): Setting[] {
  const settings: Setting[] = [];
  for (const [index, text] of textOf(file).split('\n').entries()) {
    const [, name, value = ''] = SETTING.exec(text) ?? [];
    if (name !== undefined) settings.push({ line: index + 1, name, value: value.replace(/^"(.*)"$/, '$1') });
  }
  return settings;
}

const SETTING = /^\s*(?:--)?([a-z][\w-]*)\s*(.*?)\s*$/;

/** @throws SnapError `GPG_KEY` */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return '';
    throw invalidConfiguration(message);
  }
}

/** @param problem the file, the line and gpg's complaint. */
export const invalidConfiguration = (problem: string): SnapError =>
  new SnapError('GPG_KEY', `gpg cannot use its configuration: ${problem}`, {
    hint: 'correct or remove that setting in gpg.conf, then run the same command again',
  });

/** What gpg says of a setting in a configuration file that it refuses; `null` when it says nothing of the kind. */
export function configurationProblem(stderr: string): string | null {
  const found = REFUSED_LINE.exec(stderr) ?? REFUSED_VALUE.exec(stderr) ?? REFUSED_FILE.exec(stderr);
  return found?.[0].trim() ?? null;
}

/** `/root/.gnupg/gpg.conf:3: invalid option` */
const REFUSED_LINE = /[^\s(]*(?:gpg|common)\.conf[^\s:]*:\d+: [^\n)]*/;

/** Values are looked at once all files have been read; then gpg names no line. */
const REFUSED_VALUE =
  /(?:selected [\w ]+ algorithm is invalid|unknown trust model '[^\n']*'|invalid value for option '[^\n']*'|invalid pinentry mode '[^\n']*'|invalid (?:personal|default) [\w ]*preferences)/;

/** A keyring or a file of passphrases that cannot be opened. */
const REFUSED_FILE = /(?:keyblock resource|can't open) '[^\n']+': [^\n)]*/;
