/** The session key of an encrypted archive. It is a secret, so it can also come from a file, stdin or the environment. */
import { readFileSync } from 'node:fs';
import { SnapError } from '../errors.ts';

const VARIABLE = 'SNAP_TO_S3_GPG_SESSION_KEY';

/** The format that `gpg --show-session-key` prints between quotes: the number of the cipher, and the key in hex. */
const SHAPE = /^\d{1,3}:[0-9A-Fa-f]{32,64}$/;

/**
 * @param flag the key itself, `@FILE`, or `-` for standard input; if undefined, the environment variable is used.
 * @returns `null` if there is no key.
 * @throws SnapError `USAGE` if the key cannot be read or is malformed. The message never contains the key.
 */
export function readSessionKey(flag: string | undefined, process: NodeJS.Process): string | null {
  const given = flag ?? process.env[VARIABLE];
  if (given === undefined) return null;
  const key = textOf(given, process).trim();
  if (SHAPE.test(key)) return key;
  throw new SnapError('USAGE', 'the value of --gpg-session-key is not a session key', {
    hint: 'a session key looks like 9:0123...CDEF; docs/encryption.md shows how to get it',
  });
}

function textOf(given: string, process: NodeJS.Process): string {
  if (given === '-') return readFirst(0, 'standard input');
  if (given.startsWith('@')) return readFirst(given.slice(1), given.slice(1));
  // Removes the key from the process list of this machine.
  process.title = 'snap-to-s3';
  return given;
}

function readFirst(file: string | number, name: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SnapError('USAGE', `cannot read the session key from ${name}`, { cause });
  }
}
