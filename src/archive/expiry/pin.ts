/**
 * A pin keeps `expire` from removing an archive while it is being restored. It is a small object beside the claims. Several
 * restores of an archive have a pin each.
 */
import { ANY_SNAPSHOT_ID } from '../../lib/aws-names.ts';

const PIN_FORMAT = 1;

export interface Pin {
  format: typeof PIN_FORMAT;
  snapshot: string;
  /** Seconds until the pin expires after it was last written, by the clock of the store; at most `MAX_PIN_SECONDS`. */
  lifeSeconds: number;
  /** Number of renewals, so that every version of a pin is different. */
  renewal: number;
}

/** The longest thaw that S3 allows in practice, and more than the longest restore. */
const MAX_PIN_SECONDS = 400 * 86_400;

/** The key prefix of all pins on archives with this prefix. */
export const pinFolder = (prefix: string): string => `${prefix}.snap-to-s3/pins/`;

/** @param restore eight hexadecimal digits that no other restore has. */
export const pinKey = (prefix: string, snapshotId: string, restore: string): string =>
  `${pinFolder(prefix)}${snapshotId}.${restore}.json`;

const PIN_KEY = new RegExp(`/(${ANY_SNAPSHOT_ID})\\.[0-9a-f]{8}\\.json$`);

/** @returns `null` if it is not the key of a pin. */
export const snapshotOfPin = (key: string): string | null => PIN_KEY.exec(key)?.[1] ?? null;

export const encodePin = (pin: Omit<Pin, 'format'>): Buffer =>
  Buffer.from(`${JSON.stringify({ format: PIN_FORMAT, ...pin }, null, 2)}\n`);

/** @returns the seconds for which to respect a pin: the maximum if it cannot be decoded. */
export function lifeOfPin(body: Buffer): number {
  try {
    const { lifeSeconds } = JSON.parse(body.toString('utf8')) as { lifeSeconds?: unknown };
    const isLife = typeof lifeSeconds === 'number' && lifeSeconds > 0 && lifeSeconds <= MAX_PIN_SECONDS;
    return isLife ? lifeSeconds : MAX_PIN_SECONDS;
  } catch {
    return MAX_PIN_SECONDS;
  }
}
