/**
 * A claim is the exclusive, expiring right to work on one snapshot, stored as a small object beside the archives.
 *
 * It names its holder and records what has been stored so far, so that another run can resume the work of a killed one.
 */
import { ANY_SNAPSHOT_ID } from '../lib/aws-names.ts';
import type { ProcessIdentity } from '../lib/process-identity.ts';
import { isManifestObject } from './decode-manifest.ts';
import { isLockNoteOrNothing, type LockNote } from './lock-note.ts';
import type { ManifestObject } from './manifest.ts';

/** Increased when a reader of the old format would misinterpret the new one. */
const CLAIM_FORMAT = 1;

/** A run and its process. */
export type Holder = ProcessIdentity & { run: string };

/** What a run has stored so far. */
export interface ClaimProgress {
  /** Identifies all settings that affect the stored bytes. Progress with other settings cannot be used. */
  fingerprint: string;
  /** Completed objects, in the order of the partitions. */
  objects: ManifestObject[];
  /** Uploads in progress. */
  uploads: UploadNote[];
  /** The lock that objects and uploads were created with; earlier versions omit it. */
  lock?: LockNote | null;
}

export interface UploadNote {
  key: string;
  uploadId: string;
  checkpoints: UploadCheckpoint[];
}

/** A position at which an upload can be resumed without the plain bytes before it. */
export interface UploadCheckpoint {
  /** Bytes of the plain stream before the checkpoint. */
  plainBytes: number;
  /** Bytes and parts of the object before the checkpoint. */
  storedBytes: number;
  parts: number;
}

export interface Claim {
  format: typeof CLAIM_FORMAT;
  snapshot: string;
  volume: string;
  command: string;
  /** `null` if no run is working on the snapshot. The progress is kept for the next run. */
  holder: Holder | null;
  /** When the first run took the claim: ISO 8601, by the clock of the store. */
  takenAt: string;
  /**
   * Number of renewals. It makes every version of a claim different, so that a stale one cannot be mistaken for the
   * newest.
   */
  renewal: number;
  /** Seconds until the claim expires after each renewal, by the clock of the store; at most `MAX_LIFE_SECONDS`. */
  lifeSeconds: number;
  /** Value of the state tag before the work began; `null` if the snapshot had none. */
  tagBefore: string | null;
  progress: ClaimProgress | null;
}

const FOLDER = '.snap-to-s3/claims/';

/** Returns the key prefix of all claims for archives with this prefix. */
export const claimFolder = (prefix: string): string => `${prefix}${FOLDER}`;

export const claimKey = (prefix: string, snapshotId: string): string => `${claimFolder(prefix)}${snapshotId}.json`;

/** @returns `null` if it is not the key of a claim. */
export const snapshotOfClaim = (key: string): string | null => CLAIM_KEY.exec(key)?.[1] ?? null;

const CLAIM_KEY = new RegExp(`(${ANY_SNAPSHOT_ID})\\.json$`);

export const newClaim = (content: Omit<Claim, 'format'>): Claim => ({ format: CLAIM_FORMAT, ...content });

/** A claim as it is first written. Its time becomes known with the response of the store. */
export type UntimedClaim = Omit<Claim, 'takenAt'> & { takenAt: null };

export const untimedClaim = (content: Omit<Claim, 'format' | 'takenAt'>): UntimedClaim => ({
  format: CLAIM_FORMAT,
  ...content,
  takenAt: null,
});

export const encodeClaim = (claim: Claim | UntimedClaim): Buffer => Buffer.from(`${JSON.stringify(claim, null, 2)}\n`);

/** The longest time that a claim may live without being renewed. */
export const MAX_LIFE_SECONDS = 86_400;

/**
 * @param modifiedAt when the claim was last written, by the clock of the store. It is used if the claim has no time
 * yet.
 * @returns `null` if the body is no claim or a claim of a newer version, which must be respected but cannot be
 * understood.
 */
export function decodeClaim(body: Buffer, modifiedAt: Date): Claim | null {
  try {
    const claim = JSON.parse(body.toString('utf8')) as Claim | UntimedClaim;
    return isClaim(claim) ? { ...claim, takenAt: claim.takenAt ?? modifiedAt.toISOString() } : null;
  } catch {
    return null;
  }
}

/** Returns the seconds for which to respect a claim that cannot be decoded: its own life, or else the maximum. */
export function lifeOfUnknown(body: Buffer): number {
  try {
    const { lifeSeconds } = JSON.parse(body.toString('utf8')) as { lifeSeconds?: unknown };
    return isLife(lifeSeconds) ? lifeSeconds : MAX_LIFE_SECONDS;
  } catch {
    return MAX_LIFE_SECONDS;
  }
}

const isLife = (found: unknown): found is number => typeof found === 'number' && found > 0 && found <= MAX_LIFE_SECONDS;

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

const isProgress = ({ fingerprint, objects, uploads, lock }: ClaimProgress): boolean =>
  typeof fingerprint === 'string' &&
  Array.isArray(objects) &&
  objects.every(isManifestObject) &&
  Array.isArray(uploads) &&
  uploads.every(isUploadNote) &&
  isLockNoteOrNothing(lock);

const isUploadNote = ({ key, uploadId, checkpoints }: UploadNote): boolean =>
  typeof key === 'string' &&
  typeof uploadId === 'string' &&
  Array.isArray(checkpoints) &&
  checkpoints.every(isCheckpoint);

const isCheckpoint = (found: UploadCheckpoint): boolean =>
  [found?.plainBytes, found?.storedBytes, found?.parts].every((count) => Number.isSafeInteger(count) && count >= 0);
