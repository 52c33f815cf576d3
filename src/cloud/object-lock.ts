/** Object Lock of S3. */

export type LockMode = 'GOVERNANCE' | 'COMPLIANCE';

/** The retention of a version. Nobody can delete it before `until`, except by a bypass of the mode `GOVERNANCE`. */
export interface ObjectLock {
  mode: LockMode;
  until: Date;
}

/** Checks that change nothing. */
export interface LockChecks {
  /** @throws SnapError `BUCKET` if the bucket has no Object Lock; `ACCESS_DENIED` if that may not be read. */
  assertLockable(call: { signal: AbortSignal }): Promise<void>;
  /**
   * Tries to write a locked object under a condition that no object meets, and to read the lock of an object that does not
   * exist. @throws SnapError `ACCESS_DENIED` if one of them is not allowed.
   */
  tryLock(key: string, lock: ObjectLock, call: { signal: AbortSignal }): Promise<void>;
}
