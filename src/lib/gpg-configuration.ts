/** How gpg is kept from its configuration files, and what it says of them. */

/**
 * Keeps the user's gpg.conf out: `textmode` in it rewrites line ends of what is encrypted, `dry-run` writes nothing,
 * `status-fd 1` mixes status lines into the message, and no list of such options is complete. Recipients are looked up
 * under the same option, so that the check before a run sees what the run sees. A machine's own /etc/gnupg/gpg.conf is
 * read all the same (seen with GnuPG 2.2.40).
 */
export const NO_USER_OPTIONS = ['--no-options'];

/** What gpg says of a setting in a configuration file that it refuses; `null` when it says nothing of the kind. */
export function configurationProblem(stderr: string): string | null {
  const found = REFUSED_LINE.exec(stderr) ?? REFUSED_VALUE.exec(stderr);
  return found?.[0].trim() ?? null;
}

/** `/root/.gnupg/gpg.conf:3: invalid option` */
const REFUSED_LINE = /[^\s(]*(?:gpg|common)\.conf[^\s:]*:\d+: [^\n)]*/;

/** Values are looked at once all files have been read; then gpg names no line. */
const REFUSED_VALUE =
  /(?:selected [\w ]+ algorithm is invalid|unknown trust model '[^\n']*'|invalid value for option '[^\n']*'|invalid (?:personal|default) [\w ]*preferences)/;
