/** The session key of one encrypted archive: a secret, so it is best kept out of the command line. */
import { readFileSync } from 'node:fs';
import { SnapError } from '../errors.ts';

const VARIABLE = 'SNAP_TO_S3_GPG_SESSION_KEY';

/** What `gpg --show-session-key` prints between its quotes: the number of the cipher, and the key in base 16. */
const SHAPE = /^\d{1,3}:[0-9A-Fa-f]{32,64}$/;

/**
 * @param flag the key itself, `@FILE`, or `-` for standard input; without it, the environment is asked.
 * @returns `null` when none was given.
 * @throws SnapError `USAGE`; what was given is never repeated in it.
 */
export function readSessionKey(flag: string | undefined, process: NodeJS.Process): string | null {
  const given = flag ?? process.env[VARIABLE];
  if (given === undefined) return null;
  const key = textOf(given, process).trim();
  if (SHAPE.test(key)) return key;
  throw new SnapError('USAGE', '--gpg-session-key is not a session key', {
    hint: 'it looks like 9:0123...CDEF; docs/encryption.md shows how to get it',
  });
}

function textOf(given: string, process: NodeJS.Process): string {
  if (given === '-') return readFirst(0, 'standard input');
  if (given.startsWith('@')) return readFirst(given.slice(1), given.slice(1));
  // Whoever lists the processes of this machine should not see it there from now on.
  process.title = 'snap-to-s3';
  return given;
}

function readFirst(file: string | number, name: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SnapError('USAGE', `the session key cannot be read from ${name}`, { cause });
  }
}
