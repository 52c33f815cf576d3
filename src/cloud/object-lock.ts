/** Object Lock of S3. */

export type LockMode = 'GOVERNANCE' | 'COMPLIANCE';

/** The retention of a version. Nobody can delete it before `until`, except by a bypass of the mode `GOVERNANCE`. */
export interface ObjectLock {
  mode: LockMode;
  until: Date;
}
