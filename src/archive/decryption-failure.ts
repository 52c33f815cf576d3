/**
 * Decides why gpg could not decrypt a message, from its status lines. Its message is not enough: it ends with "No secret
 * key" even if the session key inside the message is damaged. Source: doc/DETAILS of GnuPG; seen with 2.2.40.
 */

/**
 * - `key`: this user has no key for the message, or gpg cannot use it.
 * - `other-key`: the message is encrypted for a key that is not among the recipients, so it is damaged or another message.
 * - `message`: the message is damaged.
 */
export type Culprit = 'key' | 'other-key' | 'message';

interface StatusLine {
  keyword: string;
  words: readonly string[];
}

/** Ignores text before the status, because gpg may not have ended the previous line. */
const STATUS = /\[GNUPG:\] (\S+)(?: (.*))?$/;

const statusOf = (lines: readonly string[]): StatusLine[] =>
  lines.flatMap((line) => {
    const [, keyword, rest = ''] = STATUS.exec(line) ?? [];
    return keyword === undefined ? [] : [{ keyword, words: rest.split(' ') }];
  });

/**
 * Status lines that only a damaged message causes: bytes that are no packets, a session key that was found but did not
 * work, and a request for a passphrase, because this program never encrypts with one.
 */
const OF_MESSAGE = new Set(['NODATA', 'UNEXPECTED', 'BADMDC', 'DECRYPTION_KEY', 'PLAINTEXT', 'NEED_PASSPHRASE_SYM']);

/**
 * Codes of libgpg-error for a damaged session key that is encrypted for an available key: algorithms that are not those of
 * the key, and wrong lengths, encodings and checksums. Other codes concern the key, its passphrase or its card.
 */
const DAMAGED_SESSION_KEY = new Set([4, 10, 12, 14, 18, 19, 30, 41, 65, 66, 67, 68, 79, 89, 139, 149, 152, 155, 200]);

/** The lower half of an error is its code, the upper half its source. */
const codeOf = (error: string | undefined): number => Number(error) & 0xffff;

/**
 * @param lines the standard error of gpg, including the lines of `--status-fd 2`.
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
 * @param lines the standard error of gpg, including the lines of `--status-fd 2`.
 */
export const isNoMessage = (lines: readonly string[]): boolean => {
  const status = statusOf(lines);
  return status.length > 0 && !status.some(({ keyword }) => keyword === 'BEGIN_DECRYPTION');
};
