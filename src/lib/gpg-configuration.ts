/** Isolates gpg from configuration files that change what it does, and recognizes its complaints about them. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { SnapError } from '../errors.ts';

/**
 * Makes gpg ignore the user's gpg.conf. In it, `textmode` rewrites line endings, `dry-run` writes nothing, `status-fd
 * 1` mixes status lines into the message, and no list of such options is complete. Recipients are looked up with the
 * same option, so that the check before a run sees the same keys as the run. gpg reads /etc/gnupg/gpg.conf regardless
 * (seen with GnuPG 2.2.40).
 */
export const NO_USER_OPTIONS = ['--no-options'];

/** Settings that locate keys and passphrases. None of them changes what gpg does or writes. */
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
 * Returns the options that gpg needs to find private keys and passphrases, taken from the user's gpg.conf. All other
 * settings are ignored: with `list-only` gpg writes nothing and exits with 0, `unwrap` makes it write another message,
 * `status-fd 1` mixes status lines into the output, and commands such as `decrypt-files` conflict with ours.
 * @param env the environment in which gpg will run.
 * @throws SnapError `GPG_KEY` if a machine-wide setting keeps gpg from decrypting, or if gpg.conf cannot be read.
 */
export function decryptionOptions(env: NodeJS.ProcessEnv): string[] {
  assertNoMachineSettings();
  const home = env['GNUPGHOME'] || join(env['HOME'] || homedir(), '.gnupg');
  const wanted = settingsIn(join(home, 'gpg.conf')).filter(({ name }) => KEY_SETTINGS.has(name));
  const options = wanted.flatMap(({ name, value }) => (value === '' ? [`--${name}`] : [`--${name}`, value]));
  return [...NO_USER_OPTIONS, ...options];
}

/** gpg always reads this file, and no option overrides the settings below. */
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

/** @throws SnapError `GPG_KEY` if the file has a setting that keeps gpg from decrypting. */
export function assertNoMachineSettings(file: string = MACHINE_CONFIGURATION): void {
  const found = settingsIn(file).find(({ name }) => HARMFUL_SETTINGS.has(name));
  if (found) throw invalidConfiguration(`${file}:${found.line}: ${found.name} keeps gpg from decrypting`);
}

interface Setting {
  line: number;
  name: string;
  value: string;
}

/** Parses one setting per line, with or without leading dashes. A file that does not exist has no settings. */
function settingsIn(file: string): Setting[] {
  const settings: Setting[] = [];
  for (const [index, text] of textOf(file).split('\n').entries()) {
    const [, name, value = ''] = SETTING.exec(text) ?? [];
    if (name !== undefined) settings.push({ line: index + 1, name, value: value.replace(/^"(.*)"$/, '$1') });
  }
  return settings;
}

const SETTING = /^\s*(?:--)?([a-z][\w-]*)\s*(.*?)\s*$/;

/** @throws SnapError `GPG_KEY` if the file exists and cannot be read. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return '';
    throw invalidConfiguration(message);
  }
}

/** @param problem the file, the line and the complaint of gpg. */
export const invalidConfiguration = (problem: string): SnapError =>
  new SnapError('GPG_KEY', `gpg cannot use its configuration: ${problem}`, {
    hint: 'correct or remove that setting in gpg.conf, then run the same command again',
  });

/** Finds a complaint of gpg about a setting in a configuration file; `null` if there is none. */
export function configurationProblem(stderr: string): string | null {
  const found = REFUSED_LINE.exec(stderr) ?? REFUSED_VALUE.exec(stderr) ?? REFUSED_FILE.exec(stderr);
  return found?.[0].trim() ?? null;
}

/** `/root/.gnupg/gpg.conf:3: invalid option` */
const REFUSED_LINE = /[^\s(]*(?:gpg|common)\.conf[^\s:]*:\d+: [^\n)]*/;

/** gpg checks values after it has read all files, and then it names no line. */
const REFUSED_VALUE =
  /(?:selected [\w ]+ algorithm is invalid|unknown trust model '[^\n']*'|invalid value for option '[^\n']*'|invalid pinentry mode '[^\n']*'|invalid (?:personal|default) [\w ]*preferences)/;

/** A keyring or a passphrase file that cannot be opened. */
const REFUSED_FILE = /(?:keyblock resource|can't open) '[^\n']+': [^\n)]*/;
