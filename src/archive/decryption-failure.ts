/**
 * Decides why gpg could not decrypt a message. Its own sentence does not tell: it ends with "No secret key" also if the
 * session key inside the message is damaged. Its status lines do. Source: doc/DETAILS of GnuPG; seen with 2.2.40.
 */

/**
 * - `key`: this user has no key for the message, or gpg cannot use it.
 * - `other-key`: the message is for a key that is not among the recipients, so a damaged message, or another one.
 * - `message`: the message is damaged.
 */
export type Culprit = 'key' | 'other-key' | 'message';

interface StatusLine {
  keyword: string;
  words: readonly string[];
}

/** Without the leading text, because gpg may not have ended the line before. */
const STATUS = /\[GNUPG:\] (\S+)(?: (.*))?$/;

const statusOf = (lines: readonly string[]): StatusLine[] =>
  lines.flatMap((line) => {
    const [, keyword, rest = ''] = STATUS.exec(line) ?? [];
    return keyword === undefined ? [] : [{ keyword, words: rest.split(' ') }];
  });

/**
 * What only a damaged message leads to: bytes that are no packets, a session key that was found and then was of no use, and
 * a question for a passphrase, for which this program never encrypts.
 */
const OF_MESSAGE = new Set(['NODATA', 'UNEXPECTED', 'BADMDC', 'DECRYPTION_KEY', 'PLAINTEXT', 'NEED_PASSPHRASE_SYM']);

/**
 * Codes of libgpg-error that say of a session key, encrypted for a key that is present, that it is damaged: algorithms
 * that are not those of the key, and wrong lengths, encodings and checksums. Other codes are about the key, its passphrase or
 * its card.
 */
const DAMAGED_SESSION_KEY = new Set([4, 10, 12, 14, 18, 19, 30, 41, 65, 66, 67, 68, 79, 89, 139, 149, 152, 155, 200]);

/** The lower half of an error is its code, the upper half its source. */
const codeOf = (error: string | undefined): number => Number(error) & 0xffff;

/**
 * @param lines what gpg wrote to standard error, including the lines of `--status-fd 2`.
 * @param recipients ids of the keys that the message is encrypted for; empty if they are not known.
 */
export function culpritOf(lines: readonly string[], recipients: readonly string[]): Culprit {
  const status = statusOf(lines);
  if (status.some(({ keyword }) => OF_MESSAGE.has(keyword))) return 'message';
  const failed = status.filter(({ keyword, words: [what] }) => keyword === 'ERROR' && what === 'pkdecrypt_failed');
  if (failed.some(({ words: [, error] }) => DAMAGED_SESSION_KEY.has(codeOf(error)))) return 'message';
  if (failed.length > 0) return 'key';
  const named = status.filter(({ keyword }) => keyword === 'ENC_TO').map(({ words: [id = ''] }) => id);
  const isKnown = (id: string): boolean => recipients.includes(id) || /^0*$/.test(id);
  if (recipients.length > 0 && !named.every(isKnown)) return 'other-key';
  // A message without keys is damaged. If there are no status lines at all, gpg did not get as far as reading it.
  return named.length > 0 || status.length === 0 ? 'key' : 'message';
}

/**
 * With a given session key, gpg cannot tell whether that or the message is wrong, unless the bytes are no packets.
 * @param lines what gpg wrote to standard error, including the lines of `--status-fd 2`.
 */
export const isNoMessage = (lines: readonly string[]): boolean => {
  const status = statusOf(lines);
  return status.length > 0 && !status.some(({ keyword }) => keyword === 'BEGIN_DECRYPTION');
};
