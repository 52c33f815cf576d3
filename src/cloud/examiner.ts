/** The checks that `doctor` makes in a cloud. They change nothing. */
import type { Call, NewVolume } from './ports.ts';

export interface LifecycleNote {
  id: string;
  /**
   * The rule applies to keys with this prefix; empty means all keys. Rules that select only by tag or size are ignored.
   */
  prefix: string;
  /** Days after which objects are deleted; `null` means never. */
  expiresAfter: number | null;
  /** Days after which unfinished uploads are aborted; `null` means never. */
  abortsUploadsAfter: number | null;
  /** Days after which noncurrent versions are deleted; `null` means never. */
  deletesVersionsAfter: number | null;
}

/** The configuration of a bucket. A property is `null` if the caller may not read it. */
export interface BucketRules {
  region: string | null;
  versioning: 'on' | 'suspended' | 'off' | null;
  /** The default retention, or `none` if object lock is not configured. */
  objectLock: string | null;
  lifecycle: LifecycleNote[] | null;
  /** The time of the response by the clock of the store. */
  answeredAt: Date;
}

/** The dry runs throw `ACCESS_DENIED`, or the error with which the real call would fail. */
export interface Examiner {
  createVolume(wanted: NewVolume, call: Call): Promise<void>;
  tagSnapshot(snapshotId: string, tagKey: string, call: Call): Promise<void>;
  /**
   * Tries a write under a condition that no object meets. It always fails: with `AccessDenied` if writing is not
   * allowed, and because of the condition if it is. Only the first of these is thrown.
   */
  writeObject(key: string, call: Call): Promise<void>;
  bucketRules(call: Call): Promise<BucketRules>;
}
