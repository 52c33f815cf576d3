/**
 * A claim: the exclusive, expiring right to work on one snapshot, as a small object beside the archives.
 *
 * While somebody works, it says who; it also remembers what has been stored so far, so that whoever comes after a run
 * that was killed can go on from there.
 */
import type { ProcessIdentity } from '../lib/process-identity.ts';
import { isManifestObject, type ManifestObject } from './manifest.ts';

/** Raised when a reader of the old format would misunderstand the new one. */
const CLAIM_FORMAT = 1;

/** A run, and the process that it is. */
export type Holder = ProcessIdentity & { run: string };

/** What a run has achieved so far. */
export interface Progress {
  /** Of all settings that decide what the stored bytes are; progress under other settings is worth nothing. */
  fingerprint: string;
  /** Completed objects, in the order of partitions. */
  objects: ManifestObject[];
  /** The uploads under way. */
  uploads: UploadNote[];
}

export interface UploadNote {
  key: string;
  uploadId: string;
  checkpoints: Checkpoint[];
}

/** A place in an upload that it can be gone on with from, without the plain bytes before it. */
export interface Checkpoint {
  /** How far the plain stream is stored, in bytes. */
  plainBytes: number;
  /** What of the object is before it: its bytes, and its parts. */
  storedBytes: number;
  parts: number;
}

export interface Claim {
  format: typeof CLAIM_FORMAT;
  snapshot: string;
  volume: string;
  command: string;
  /** `null`: nobody works on it any more, and what was stored is left for whoever comes next. */
  holder: Holder | null;
  /** When the first run took it: ISO 8601, by the store's clock. */
  takenAt: string;
  /** Counts renewals: no two versions of a claim are alike, so that a stale one is never mistaken for the newest. */
  renewal: number;
  /** Seconds that it lives after each renewal, by the clock of the store; at most `LONGEST_LIFE`. */
  lifeSeconds: number;
  /** Value of the state tag before the work began; `null` where there was none. */
  tagBefore: string | null;
  progress: Progress | null;
}

const FOLDER = '.snap-to-s3/claims/';

/** All claims below a prefix of archives. */
export const claimFolder = (prefix: string): string => `${prefix}${FOLDER}`;

export const claimKey = (prefix: string, snapshotId: string): string => `${claimFolder(prefix)}${snapshotId}.json`;

export const newClaim = (content: Omit<Claim, 'format'>): Claim => ({ format: CLAIM_FORMAT, ...content });

/** As it is first written: only the store's answer tells when that was. */
export type UntimedClaim = Omit<Claim, 'takenAt'> & { takenAt: null };

export const untimedClaim = (content: Omit<Claim, 'format' | 'takenAt'>): UntimedClaim => ({
  format: CLAIM_FORMAT,
  ...content,
  takenAt: null,
});

export const encodeClaim = (claim: Claim | UntimedClaim): Buffer => Buffer.from(`${JSON.stringify(claim, null, 2)}\n`);

/** Seconds: no claim outlives its last renewal by more. */
export const LONGEST_LIFE = 86_400;

/**
 * @param modifiedAt when it was last written, by the store's clock; a claim that was written once was taken then.
 * @returns `null` for what is no claim, or one of a newer version: it can be respected, but not understood.
 */
export function decodeClaim(body: Buffer, modifiedAt: Date): Claim | null {
  try {
    const claim = JSON.parse(body.toString('utf8')) as Claim | UntimedClaim;
    return isClaim(claim) ? { ...claim, takenAt: claim.takenAt ?? modifiedAt.toISOString() } : null;
  } catch {
    return null;
  }
}

/** Seconds that what cannot be understood is respected after its last renewal: what it says itself, or the most. */
export function lifeOfUnknown(body: Buffer): number {
  try {
    const { lifeSeconds } = JSON.parse(body.toString('utf8')) as { lifeSeconds?: unknown };
    return isLife(lifeSeconds) ? lifeSeconds : LONGEST_LIFE;
  } catch {
    return LONGEST_LIFE;
  }
}

const isLife = (found: unknown): found is number => typeof found === 'number' && found > 0 && found <= LONGEST_LIFE;

const isTextOrNull = (found: unknown): boolean => found === null || typeof found === 'string';

const isClaim = (claim: Claim | UntimedClaim): boolean =>
  claim.format === CLAIM_FORMAT &&
  typeof claim.snapshot === 'string' &&
  typeof claim.volume === 'string' &&
  typeof claim.command === 'string' &&
  isHolder(claim.holder) &&
  (claim.takenAt === null || !Number.isNaN(Date.parse(claim.takenAt))) &&
  Number.isSafeInteger(claim.renewal) &&
  isLife(claim.lifeSeconds) &&
  isTextOrNull(claim.tagBefore) &&
  (claim.progress === null || isProgress(claim.progress));

const isHolder = (holder: Holder | null): boolean =>
  holder === null ||
  (Number.isSafeInteger(holder.pid) &&
    [holder.run, holder.host, holder.boot, holder.namespace, holder.started].every((text) => typeof text === 'string'));

const isProgress = ({ fingerprint, objects, uploads }: Progress): boolean =>
  typeof fingerprint === 'string' &&
  Array.isArray(objects) &&
  objects.every(isManifestObject) &&
  Array.isArray(uploads) &&
  uploads.every(isUploadNote);

const isUploadNote = ({ key, uploadId, checkpoints }: UploadNote): boolean =>
  typeof key === 'string' &&
  typeof uploadId === 'string' &&
  Array.isArray(checkpoints) &&
  checkpoints.every(isCheckpoint);

const isCheckpoint = (found: Checkpoint): boolean =>
  [found?.plainBytes, found?.storedBytes, found?.parts].every((count) => Number.isSafeInteger(count) && count >= 0);
